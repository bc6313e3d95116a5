/** The service against a stand-in for Mistral: what users, probes and metrics get in good times and in bad. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { describe, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { createApp } from "../src/app.js";
import { settingsFrom } from "../src/config.js";
import { hangs, Provider, refuses, resets, says, sendsNoJson, stalls } from "./provider.js";

const KEY = "a-key-for-tests";
const PROMPT = "secret prompt";

async function world(t: TestContext, overrides: Record<string, string> = {}) {
  const provider = new Provider();
  t.after(() => provider.stop());
  let logged = "";
  const sink = new Writable({
    write(line: Buffer, _, done) {
      logged += line.toString();
      done();
    },
  });
  const settings = settingsFrom({
    NODE_ENV: "production",
    MISTRAL_API_KEY: KEY,
    MISTRAL_BASE_URL: await provider.start(),
    MISTRAL_MODEL: "first",
    REQUEST_DEADLINE_MS: "20000",
    RETRY_MAX: "1",
    FALLBACK_TEXT: "Later, please.",
    ...overrides,
  });
  const app = createApp(settings, pino({ level: "debug" }, sink));
  await app.listen({ host: "127.0.0.1", port: 0 });
  t.after(() => app.close());
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  const post = async (path: string, body: unknown = { message: PROMPT }) => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  const get = async (path: string) => {
    const response = await fetch(url + path);
    return { status: response.status, text: await response.text() };
  };
  const metric = async (series: string) => {
    const line = (await get("/metrics")).text.split("\n").find((candidate) => candidate.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length));
  };
  return { provider, post, get, metric, log: () => logged };
}

const parsed = (text: string) => JSON.parse(text) as Record<string, unknown>;
const events = (text: string) => text.trim().split("\n\n").map((event) => parsed(event.replace("data: ", "")));
const code = (text: string) => (parsed(text)["error"] as { code: string }).code;

/** Sends all at once, and lets Mistral answer those admitted only when all others have been refused. */
async function together(
  provider: Provider,
  post: (path: string) => Promise<{ status: number }>,
  { admitted, refused }: { admitted: number; refused: number },
): Promise<number[]> {
  let settled = 0;
  provider.script = [(response, asked) => void until(() => settled >= refused).then(() => says("Bonjour")(response, asked))];
  const calls = Array.from({ length: admitted + refused }, () => post("/api/chat"));
  const answers = await Promise.all(calls.map((call) => call.finally(() => settled++)));
  return answers.map(({ status }) => status).sort();
}

async function until(reached: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await reached())) {
    if (Date.now() > end) throw new Error("it never came to that");
    await sleep(20);
  }
}

void describe("the service", { concurrency: 8, timeout: 60_000 }, () => {
  void test("a message gets the model's answer", async (t) => {
    const { post, provider } = await world(t);
    const { status, text } = await post("/api/chat");
    assert.equal(status, 200);
    assert.deepEqual(parsed(text), { reply: "Bonjour", model: "first", finish_reason: "stop", fallback: false });
    assert.equal(provider.asked[0]?.authorization, `Bearer ${KEY}`);
  });

  void test("a stream gives the answer piece by piece, and says that it is done", async (t) => {
    const { post, provider } = await world(t);
    provider.script = [says("Bonjour le monde")];
    const { status, headers, text } = await post("/api/chat/stream");
    assert.equal(status, 200);
    assert.match(headers.get("content-type") ?? "", /^text\/event-stream/);
    assert.deepEqual(events(text), [
      { delta: "Bonjour" },
      { delta: " le" },
      { delta: " monde" },
      { done: true, finish_reason: "stop", model: "first" },
    ]);
  });

  for (const body of [{}, { message: "" }, { message: "  " }, { message: 1 }, { message: "x".repeat(8001) }, []]) {
    void test(`invalid input is refused: ${JSON.stringify(body).slice(0, 20)}`, async (t) => {
      const { post, provider } = await world(t);
      const { status, text } = await post("/api/chat", body);
      assert.deepEqual([status, code(text), provider.asked.length], [400, "invalid_request", 0]);
    });
  }

  const failures = [
    { name: "401", says: refuses(401), code: "auth", requests: 1 },
    { name: "403", says: refuses(403), code: "auth", requests: 1 },
    { name: "400", says: refuses(400), code: "invalid", requests: 1 },
    { name: "422", says: refuses(422), code: "invalid", requests: 1 },
    { name: "408", says: refuses(408), code: "timeout", requests: 2 },
    { name: "429", says: refuses(429), code: "rate_limited", requests: 2 },
    { name: "500", says: refuses(500), code: "server", requests: 2 },
    { name: "520", says: refuses(520), code: "server", requests: 2 },
    { name: "a reset", says: resets, code: "network", requests: 2 },
    { name: "no answer", says: hangs, code: "timeout", requests: 2, deadline: 3000 },
    { name: "broken JSON", says: sendsNoJson, code: "server", requests: 1 },
    { name: "no finish reason", says: says("Bon", null), code: "server", requests: 1 },
    { name: "an empty answer", says: says(""), code: "server", requests: 1 },
  ];

  for (const failure of failures) {
    void test(`${failure.name} ends in the fallback text, after ${failure.requests} request(s), and leaks nothing`, async (t) => {
      const { deadline = 20_000 } = failure;
      const { post, provider, metric, log } = await world(t, { REQUEST_DEADLINE_MS: String(deadline) });
      provider.script = [failure.says];
      const started = Date.now();
      const { status, text } = await post("/api/chat");
      assert.ok(Date.now() - started < deadline + 5000, "within the deadline");
      assert.deepEqual([status, code(text), provider.asked.length], [503, failure.code, failure.requests]);
      assert.deepEqual([parsed(text)["fallback"], parsed(text)["reply"]], [true, "Later, please."]);
      assert.equal(await metric(`mistral_errors_total{type="${failure.code}"}`), failure.requests);
      assert.equal(await metric('mistral_fallbacks_total{to="text"}'), 1);
      assert.doesNotMatch(text + log(), new RegExp(`${PROMPT}|${KEY}|node_modules`));
    });
  }

  void test("a stream that ends early, or stalls, ends in an error event and is not tried again", async (t) => {
    const { post, provider } = await world(t, { REQUEST_DEADLINE_MS: "3000" });
    for (const [behaviour, kind] of [[says("Bon", null), "server"], [stalls, "timeout"]] as const) {
      provider.script = [behaviour];
      provider.asked.length = 0;
      const { text } = await post("/api/chat/stream");
      assert.deepEqual(events(text).map((event) => (event["error"] as { code: string } | undefined)?.code ?? event), [
        { delta: "Bon" },
        kind,
      ]);
      assert.equal(provider.asked.length, 1);
    }
  });

  void test("a stream that fails before its first word is refused like any call", async (t) => {
    const { post, provider } = await world(t);
    provider.script = [refuses(500)];
    const { status, text } = await post("/api/chat/stream");
    assert.deepEqual([status, code(text), provider.asked.length], [503, "server", 2]);
  });

  void test("a passing fault is ridden out, and Retry-After is kept to", async (t) => {
    const { post, provider } = await world(t);
    provider.script = [refuses(429, { "retry-after": "1" }), says("Bonjour")];
    assert.equal((await post("/api/chat")).status, 200);
    const [first, second] = provider.asked;
    assert.ok(first && second && second.at - first.at >= 990);
  });

  void test("a Retry-After beyond the deadline is not waited for", async (t) => {
    const { post, provider } = await world(t);
    provider.script = [refuses(429, { "retry-after": "60" })];
    const { status, headers } = await post("/api/chat");
    assert.deepEqual([status, headers.get("retry-after"), provider.asked.length], [503, "60", 1]);
  });

  void test("the last request of the budget goes to the fallback model where the failure is the model's", async (t) => {
    const { post, provider, metric } = await world(t, { MISTRAL_FALLBACK_MODEL: "second" });
    provider.script = [refuses(429), says("Bonjour")];
    const { text } = await post("/api/chat");
    assert.deepEqual(parsed(text), { reply: "Bonjour", model: "second", finish_reason: "stop", fallback: false });
    assert.deepEqual(provider.asked.map(({ model }) => model), ["first", "second"]);
    assert.equal(await metric('mistral_fallbacks_total{to="model"}'), 1);
  });

  void test("the circuit opens after the declared number of failures, and then nothing is sent", async (t) => {
    const { post, get, provider, metric } = await world(t, { BREAKER_THRESHOLD: "3", RETRY_MAX: "0" });
    provider.script = [refuses(500)];
    for (let call = 0; call < 3; call++) assert.equal(code((await post("/api/chat")).text), "server");
    const open = await post("/api/chat");
    assert.deepEqual([open.status, code(open.text), provider.asked.length], [503, "circuit_open", 3]);
    assert.ok(Number(open.headers.get("retry-after")) > 0);
    assert.equal(await metric("mistral_circuit_breaker_state"), 2);
    const health = await get("/health");
    assert.deepEqual([health.status, parsed(health.text)["status"]], [503, "degraded"]);
  });

  void test("a single trial closes the circuit, while the others get the fallback text", async (t) => {
    const { post, provider, metric } = await world(t, { BREAKER_THRESHOLD: "1", BREAKER_RESET_MS: "1500", RETRY_MAX: "0" });
    provider.script = [refuses(500)];
    await post("/api/chat");
    await until(async () => (await metric("mistral_circuit_breaker_state")) === 1);
    assert.deepEqual(await together(provider, post, { admitted: 1, refused: 4 }), [200, 503, 503, 503, 503]);
    assert.equal(provider.asked.length, 2);
    assert.equal(await metric("mistral_circuit_breaker_state"), 0);
  });

  void test("the circuit closes by itself where nobody asks", async (t) => {
    const { post, provider, metric } = await world(t, { BREAKER_THRESHOLD: "1", BREAKER_RESET_MS: "50", RETRY_MAX: "0" });
    provider.script = [refuses(500), says("pong")];
    await post("/api/chat");
    await until(async () => (await metric("mistral_circuit_breaker_state")) === 0);
    assert.equal(provider.asked.length, 2);
  });

  void test("a refused request does not open the circuit", async (t) => {
    const { post, provider, metric } = await world(t, { BREAKER_THRESHOLD: "1" });
    for (const status of [400, 401, 403, 422]) {
      provider.script = [refuses(status)];
      await post("/api/chat");
    }
    assert.equal(provider.asked.length, 4);
    assert.equal(await metric("mistral_circuit_breaker_state"), 0);
  });

  void test("no more requests than declared are under way at once", async (t) => {
    const { post, provider } = await world(t, { MAX_CONCURRENCY: "2" });
    assert.deepEqual(await together(provider, post, { admitted: 2, refused: 3 }), [200, 200, 503, 503, 503]);
  });

  void test("health follows Mistral; liveness and readiness do not", async (t) => {
    const { get, post, provider, metric } = await world(t, { GIT_REVISION: "abc" });
    const good = parsed((await get("/health")).text);
    assert.deepEqual([good["status"], good["environment"], good["revision"]], ["healthy", "production", "abc"]);
    assert.equal(await metric("mistral_up"), 1);

    provider.models = refuses(500);
    provider.script = [refuses(400)];
    await post("/api/chat");
    const bad = await get("/health");
    const { mistral } = parsed(bad.text)["services"] as { mistral: Record<string, unknown> };
    assert.deepEqual([bad.status, parsed(bad.text)["status"], mistral["healthy"]], [503, "unhealthy", false]);
    assert.equal(await metric("mistral_up"), 0);
    assert.deepEqual([(await get("/live")).status, (await get("/ready")).status], [200, 200]);
  });

  void test("a refused key is counted as such, and is no outage", async (t) => {
    const { get, post, provider, metric } = await world(t);
    await get("/health");
    provider.models = refuses(401);
    provider.script = [refuses(401)];
    await post("/api/chat");
    assert.equal((await get("/health")).status, 503);
    assert.equal(await metric("mistral_up"), 1);
    assert.equal(await metric('mistral_errors_total{type="auth"}'), 2);
  });

  void test("each series exists before the first request", async (t) => {
    const { metric } = await world(t);
    for (const type of ["auth", "rate_limited", "server", "timeout", "network", "invalid"]) {
      assert.equal(await metric(`mistral_errors_total{type="${type}"}`), 0);
    }
    assert.equal(await metric('mistral_requests_total{model="first",status="200"}'), 0);
    assert.equal(await metric('mistral_request_duration_seconds_count{model="first"}'), 0);
  });

  void test("the correlation id of a failed request is in the log", async (t) => {
    const { post, provider, log } = await world(t);
    provider.script = [refuses(400)];
    await post("/api/chat");
    assert.match(log(), /"status":"400".*"correlationId":"0198-test"/);
  });

  void test("a rotated key is taken up by the next request", async (t) => {
    const file = join(await mkdtemp(join(tmpdir(), "key-")), "api-key");
    writeFileSync(file, "old\n");
    const { post, provider } = await world(t, { MISTRAL_API_KEY: "", MISTRAL_API_KEY_FILE: file });
    await post("/api/chat");
    writeFileSync(file, "new\n");
    await post("/api/chat");
    assert.deepEqual(provider.asked.map(({ authorization }) => authorization), ["Bearer old", "Bearer new"]);
  });

  void test("wrong settings are refused by name, without their values", () => {
    const wrong = { MISTRAL_API_KEY: KEY, PORT: "http", MISTRAL_DEBUG: "1", MISTRAL_MODEL: "m", MISTRAL_FALLBACK_MODEL: "m" };
    assert.throws(() => settingsFrom(wrong), (error: Error) => {
      assert.match(error.message, /PORT: [^]*MISTRAL_DEBUG: makes the SDK print the API key/);
      assert.doesNotMatch(error.message, new RegExp(KEY));
      return true;
    });
    assert.throws(() => settingsFrom({ MISTRAL_MODEL: "m" }), /MISTRAL_API_KEY: set it/);
    assert.throws(() => settingsFrom({ MISTRAL_API_KEY: KEY, MISTRAL_MODEL: "m", MISTRAL_FALLBACK_MODEL: "m" }), /no fallback/);
  });
});
