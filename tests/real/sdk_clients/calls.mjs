// What the official SDK `@mistralai/mistralai` makes of the API: as calls.py, for the SDK below the folder that is
// given as the only argument. `library` is null: JavaScript's classes do not say where they come from.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(join(process.argv[2], "package.json"));
const { Mistral } = await import(pathToFileURL(require.resolve("@mistralai/mistralai")));
const { version } = require("@mistralai/mistralai/package.json");

const MODEL = "mistral-small-2603";
const BACKOFF = { initialInterval: 50, maxInterval: 100, exponent: 1.5, maxElapsedTime: 3000 };
const RETRIES = { strategy: "backoff", backoff: BACKOFF, retryConnectionErrors: true };
const AT_ONCE = 8;

console.warn = () => {}; // of a model that is retired

class Call {
  constructor({ key, fault, mark }, url) {
    this.client = new Mistral({ apiKey: key ?? undefined, serverURL: url + (fault ? `/fault-${fault}` : "") });
    this.messages = [{ role: "user", content: `Reply with one word. drill-${mark}` }];
    this.texts = [];
    this.finish = null;
  }

  async models() {
    this.texts.push(...(await this.client.models.list()).data.map((card) => card.id));
  }

  async model() {
    this.texts.push((await this.client.models.retrieve({ modelId: MODEL })).id);
  }

  async chat(more = {}, options = {}) {
    const answer = await this.client.chat.complete({ model: MODEL, messages: this.messages, ...more }, options);
    this.texts.push(answer.choices[0].message.content);
    this.finish = answer.choices[0].finishReason;
  }

  unknown_model = () => this.chat({ model: "mistral-nonesuch" });
  hot = () => this.chat({ temperature: 1.9 });
  retried = () => this.chat({}, { retries: RETRIES });
  impatient = () => this.chat({}, { timeoutMs: 1500 });

  async tool() {
    const tools = [{ type: "function", function: { name: "now", parameters: { type: "object", properties: {} } } }];
    const request = { model: MODEL, messages: this.messages, tools, toolChoice: "any" };
    const [choice] = (await this.client.chat.complete(request)).choices;
    this.texts.push(choice.message.toolCalls[0].function.name);
    this.finish = choice.finishReason;
  }

  async stream(options = {}) {
    for await (const event of await this.client.chat.stream({ model: MODEL, messages: this.messages }, options)) {
      const [choice] = event.data.choices;
      this.texts.push(choice.delta.content);
      this.finish = choice.finishReason ?? this.finish;
    }
  }

  impatient_stream = () => this.stream({ timeoutMs: 1500 });
}

async function raised(call, name) {
  try {
    await call[name]();
    return { error: null, status: null, detail: null };
  } catch (error) {
    const detail = error.data$?.detail;
    return {
      error: error.constructor.name,
      status: error.statusCode ?? null,
      detail: Array.isArray(detail) ? detail.map((entry) => entry.type) : null,
    };
  }
}

async function outcome(item, url) {
  const begun = performance.now();
  const call = new Call(item, url);
  let timer;
  const patience = new Promise((resolve) => {
    timer = setTimeout(resolve, item.patience * 1000, null);
  });
  const ended = await Promise.race([raised(call, item.call), patience]);
  clearTimeout(timer);
  const seconds = (performance.now() - begun) / 1000;
  const { texts, finish } = call;
  return { library: null, ...ended, waiting: ended === null, texts: [...texts], finish, seconds };
}

const { url, cases } = JSON.parse(readFileSync(0, "utf8"));
const outcomes = {};
const left = cases.values();
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (const item of left) outcomes[item.name] = await outcome(item, url); // one iterator: each takes the next
  }),
);
process.stdout.write(JSON.stringify({ version, outcomes }), () => process.exit(0)); // past the calls that still wait
