/** A stand-in for Mistral on a real socket: it answers as told, and remembers what it was asked. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Behaviour = (response: ServerResponse, request: Asked) => void;

export interface Asked {
  readonly at: number;
  readonly model: string;
  readonly stream: boolean;
  readonly authorization: string | undefined;
}

export const says =
  (text: string, finishReason: string | null = "stop"): Behaviour =>
  (response, { model, stream }) => {
    const head = { id: "c1", created: 1, model };
    const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
    if (!stream) {
      const choice = { index: 0, message: { role: "assistant", content: text }, finish_reason: finishReason };
      json(response, 200, { ...head, object: "chat.completion", usage, choices: [choice] });
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const word of text.split(/(?= )/)) chunk(response, head, word, null);
    if (finishReason) {
      chunk(response, head, "", finishReason);
      response.write("data: [DONE]\n\n");
    }
    response.end();
  };

export const refuses =
  (status: number, headers: Record<string, string> = {}): Behaviour =>
  (response, { model }) =>
    json(response, status, { object: "error", message: `secret prompt for ${model}`, code: "1" }, headers);

export const hangs: Behaviour = () => undefined;

export const resets: Behaviour = (response) => response.destroy();

export const sendsNoJson: Behaviour = (response) => {
  response.writeHead(200, { "content-type": "application/json" }).end('{"id": ');
};

/** Says a word and then no more, without an end. */
export const stalls: Behaviour = (response, { model }) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  chunk(response, { id: "c1", created: 1, model }, "Bon", null);
};

export class Provider {
  /** What the next requests get, in order; the last one stays. */
  script: Behaviour[] = [says("Bonjour")];
  models: Behaviour = (response) => json(response, 200, { object: "list", data: [] });
  readonly asked: Asked[] = [];
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  async start(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = JSON.parse(Buffer.concat(pieces).toString() || "{}") as { model?: string; stream?: boolean };
    const { authorization } = request.headers;
    const asked = { at: Date.now(), model: body.model ?? "", stream: body.stream ?? false, authorization };
    if (request.url === "/v1/models") return this.models(response, asked);
    this.asked.push(asked);
    const behaviour = this.script.length > 1 ? this.script.shift() : this.script[0];
    behaviour?.(response, asked);
  }
}

function json(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  const all = { "content-type": "application/json", "mistral-correlation-id": "0198-test", ...headers };
  response.writeHead(status, all).end(JSON.stringify(body));
}

function chunk(response: ServerResponse, head: object, content: string, finish_reason: string | null): void {
  const choices = [{ index: 0, delta: { role: "assistant", content }, finish_reason }];
  response.write(`data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", choices })}\n\n`);
}
