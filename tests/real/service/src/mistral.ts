/** Mistral as this service uses it: a deadline, retries, a circuit breaker, a bound on concurrency, a fallback model. */
import { AsyncLocalStorage } from "node:async_hooks";
import { HTTPClient, Mistral as Sdk } from "@mistralai/mistralai";
import type { ContentChunk } from "@mistralai/mistralai/models/components";
import { BulkheadRejectedError, bulkhead, DelegateBackoff, handleWhen, retry } from "cockatiel";
import type { FastifyBaseLogger } from "fastify";
import { Circuit } from "./circuit.js";
import type { Settings } from "./config.js";
import { correlationId, Failure, failureFrom, PROVIDER_KINDS, type ProviderKind } from "./failure.js";
import { orAbort, untilAborted, within } from "./limit.js";
import type { Metrics } from "./metrics.js";

export interface Answer {
  readonly reply: string;
  readonly model: string;
  readonly finishReason: string;
}

type Call = (model: string, signal: AbortSignal) => Promise<Answer>;

const MAX_TOKENS = 1024;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8_000;
/** The `model` label of a request that is for no model: the health check. */
export const NO_MODEL = "none";

export class Mistral {
  readonly #settings: Settings;
  readonly #metrics: Metrics;
  readonly #log: FastifyBaseLogger;
  readonly #client: Sdk;
  readonly #circuit: Circuit;
  readonly #bulkhead;
  readonly #exchange = new AsyncLocalStorage<{ correlationId?: string | undefined }>();
  /** A request gets half of its user's deadline, so that one that hangs leaves time for another. */
  readonly #attemptMs: number;
  /** No more than a tenth of the deadline, so that a short one has room for all retries. */
  readonly #firstPauseMs: number;
  /** When a request last failed by Mistral's doing, in milliseconds since the epoch. */
  lastFailureAt = 0;

  constructor(settings: Settings, metrics: Metrics, log: FastifyBaseLogger) {
    this.#settings = settings;
    this.#metrics = metrics;
    this.#log = log;
    this.#attemptMs = Math.ceil(settings.REQUEST_DEADLINE_MS / 2);
    this.#firstPauseMs = Math.min(FIRST_PAUSE_MS, settings.REQUEST_DEADLINE_MS / 10);
    const httpClient = new HTTPClient().addHook("response", (response) => {
      const exchange = this.#exchange.getStore();
      if (exchange) exchange.correlationId = correlationId(response.headers);
    });
    this.#client = new Sdk({
      apiKey: settings.apiKey,
      ...(settings.MISTRAL_BASE_URL && { serverURL: settings.MISTRAL_BASE_URL }),
      timeoutMs: this.#attemptMs,
      httpClient,
    });
    this.#bulkhead = bulkhead(settings.MAX_CONCURRENCY);
    this.#circuit = new Circuit({
      threshold: settings.BREAKER_THRESHOLD,
      resetMs: settings.BREAKER_RESET_MS,
      onChange: (state) => {
        log.warn({ circuit: state }, "the circuit changed");
        if (state === "open") this.#tryLater();
      },
    });
  }

  get circuit() {
    return this.#circuit.state;
  }

  /** Answers a message, or throws a Failure within the deadline. */
  complete(message: string, caller: AbortSignal): Promise<Answer> {
    return this.#withRetries((model, signal) => this.#completed(message, model, signal), caller);
  }

  /** As `complete`, and hands over each piece of the answer as it comes; nothing is retried after the first piece. */
  stream(message: string, caller: AbortSignal, onDelta: (delta: string) => void): Promise<Answer> {
    return this.#withRetries((model, signal) => this.#streamed(message, model, signal, onDelta), caller);
  }

  /** Asks for the list of models: the cheapest question that needs the network, the API and the key. */
  ask(timeoutMs: number): Promise<void> {
    return within(timeoutMs, undefined, (signal) =>
      this.#measured(NO_MODEL, async () => {
        try {
          await orAbort(this.#client.models.list({}, { signal }), signal);
        } catch (error) {
          throw failureFrom(error, signal);
        }
      }),
    );
  }

  /** One budget of 1 + RETRY_MAX requests and one deadline for all that is done for a message, fallback model included. */
  async #withRetries(call: Call, caller: AbortSignal): Promise<Answer> {
    const { REQUEST_DEADLINE_MS, RETRY_MAX, MISTRAL_MODEL, MISTRAL_FALLBACK_MODEL } = this.#settings;
    const endsAt = Date.now() + REQUEST_DEADLINE_MS;
    let model = MISTRAL_MODEL;
    let retries = 0;
    let pauseMs = 0;

    const worthAnother = (error: Error): boolean => {
      if (!(error instanceof Failure)) return false;
      pauseMs = (error.details.retryAfterMs ?? 0) + fullJitter(this.#firstPauseMs, retries++);
      const inTime = Date.now() + pauseMs < endsAt;
      const lastOrNever = retries === RETRY_MAX || !error.transient || !inTime;
      if (MISTRAL_FALLBACK_MODEL && model !== MISTRAL_FALLBACK_MODEL && error.isOfTheModel && lastOrNever) {
        model = MISTRAL_FALLBACK_MODEL;
        pauseMs = inTime ? pauseMs : 0;
        return true;
      }
      return error.transient && inTime;
    };
    const policy = retry(handleWhen(worthAnother), {
      maxAttempts: RETRY_MAX,
      backoff: new DelegateBackoff(() => pauseMs),
    });
    const answer = await within(REQUEST_DEADLINE_MS, caller, (deadline) =>
      policy.execute(() => this.#guarded(model, call, deadline)),
    );
    if (answer.model !== MISTRAL_MODEL) this.#metrics.fallbacks.inc({ to: "model" });
    return answer;
  }

  /** One request, if the deadline, the bound on concurrency and the circuit admit it. */
  async #guarded(model: string, call: Call, deadline?: AbortSignal): Promise<Answer> {
    deadline?.throwIfAborted();
    try {
      return await within(this.#attemptMs, deadline, (signal) =>
        this.#bulkhead.execute(() => this.#circuit.execute(() => this.#measured(model, () => call(model, signal)))),
      );
    } catch (error) {
      throw error instanceof BulkheadRejectedError ? new Failure("overloaded") : error;
    }
  }

  async #measured<T>(model: string, work: () => Promise<T>): Promise<T> {
    const exchange: { correlationId?: string | undefined } = {};
    const seconds = this.#metrics.duration.startTimer({ model });
    const done = (status: string) => {
      this.#metrics.requests.inc({ model, status });
      return { model, status, seconds: seconds(), correlationId: exchange.correlationId };
    };
    try {
      const result = await this.#exchange.run(exchange, work);
      this.#log.debug(done("200"), "answered by Mistral");
      return result;
    } catch (error) {
      const failure = error as Failure;
      const facts = done(failure.status);
      if (isProviderKind(failure.kind)) {
        this.lastFailureAt = Date.now();
        this.#metrics.errors.inc({ type: failure.kind });
        this.#log.warn({ ...facts, kind: failure.kind }, "failed by Mistral");
      }
      throw failure;
    }
  }

  async #completed(message: string, model: string, signal: AbortSignal, maxTokens = MAX_TOKENS): Promise<Answer> {
    try {
      const request = { model, messages: [{ role: "user" as const, content: message }], maxTokens };
      const { choices } = await orAbort(this.#client.chat.complete(request, { signal }), signal);
      return finished(textOf(choices[0]?.message?.content), model, choices[0]?.finishReason);
    } catch (error) {
      throw failureFrom(error, signal);
    }
  }

  async #streamed(message: string, model: string, signal: AbortSignal, onDelta: (delta: string) => void) {
    let reply = "";
    try {
      const request = { model, messages: [{ role: "user" as const, content: message }], maxTokens: MAX_TOKENS };
      const events = await orAbort(this.#client.chat.stream(request, { signal }), signal);
      let finishReason: string | null | undefined;
      for await (const { data } of untilAborted(events, signal)) {
        const choice = data.choices[0];
        const delta = textOf(choice?.delta.content);
        if (delta) onDelta(delta);
        reply += delta;
        finishReason = choice?.finishReason ?? finishReason;
      }
      return finished(reply, model, finishReason);
    } catch (error) {
      const failure = failureFrom(error, signal);
      failure.partial = reply !== "";
      throw failure;
    }
  }

  /** Where no user's message has tried Mistral for a whole reset time, the service does, for one token: it recovers unasked. */
  #tryLater(): void {
    const { MISTRAL_MODEL, BREAKER_RESET_MS } = this.#settings;
    const trial = () => {
      if (this.circuit !== "half-open") return;
      this.#guarded(MISTRAL_MODEL, (model, signal) => this.#completed("ping", model, signal, 1)).catch(
        (failure: Failure) => this.#log.debug({ kind: failure.kind }, "the trial failed"),
      );
    };
    setTimeout(trial, 2 * BREAKER_RESET_MS).unref();
  }
}

/** A random part of a pause that doubles each time, in milliseconds: many clients that failed together come back apart. */
function fullJitter(firstMs: number, retries: number): number {
  return Math.random() * Math.min(LONGEST_PAUSE_MS, firstMs * 2 ** retries);
}

/** An answer is complete only with a finish reason: a stream that ends early looks like a success to the SDK. */
function finished(reply: string, model: string, finishReason: string | null | undefined): Answer {
  if (!finishReason || finishReason === "error" || !reply) throw new Failure("server");
  return { reply, model, finishReason };
}

/** The text of a content that is a string or, from a reasoning model, a list of chunks. */
function textOf(content: string | ContentChunk[] | null | undefined): string {
  if (typeof content === "string") return content;
  return (content ?? []).map((chunk) => (chunk.type === "text" && "text" in chunk ? chunk.text : "")).join("");
}

function isProviderKind(kind: string): kind is ProviderKind {
  return (PROVIDER_KINDS as readonly string[]).includes(kind);
}
