/** The HTTP interface: the chat for users, three probes and the metrics for those who run it. */
import { PassThrough } from "node:stream";
import Fastify, { LogController, type FastifyBaseLogger, type FastifyReply } from "fastify";
import { CIRCUIT_LEVELS } from "./circuit.js";
import type { Settings } from "./config.js";
import { Failure, type Kind } from "./failure.js";
import { Health } from "./health.js";
import { createMetrics } from "./metrics.js";
import { Mistral, NO_MODEL } from "./mistral.js";

interface ChatRequest {
  readonly message: string;
}

const chatRequest = {
  body: {
    type: "object",
    required: ["message"],
    additionalProperties: false,
    properties: { message: { type: "string", minLength: 1, maxLength: 8000, pattern: "\\S" } },
  },
};

const MESSAGES: Partial<Record<Kind, string>> = {
  rate_limited: "Too many requests at the moment. Try again in a minute.",
  overloaded: "Too many requests at the moment. Try again in a minute.",
  timeout: "The model did not answer in time.",
  invalid: "The model did not accept this request.",
};

export function createApp(settings: Settings, log: FastifyBaseLogger) {
  const models = [settings.MISTRAL_MODEL, settings.MISTRAL_FALLBACK_MODEL ?? "", NO_MODEL].filter(Boolean);
  const metrics = createMetrics(models);
  const mistral = new Mistral(settings, metrics, log);
  const health = new Health(mistral, metrics);
  const app = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: 64 * 1024,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  });

  app.addHook("onReady", async () => health.start());
  app.addHook("onClose", async () => health.stop());
  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url ?? "unknown";
    const seconds = reply.elapsedTime / 1000;
    metrics.http.observe({ route, status: String(reply.statusCode) }, seconds);
    const level = route.startsWith("/api/") ? "info" : "debug";
    request.log[level]({ method: request.method, route, status: reply.statusCode, seconds }, "answered");
  });

  app.get("/live", async () => ({ status: "alive" }));
  app.get("/ready", async () => ({ status: "ready" }));

  app.get("/metrics", async (_, reply) => {
    metrics.circuit.set(CIRCUIT_LEVELS[mistral.circuit]);
    return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });

  app.get("/health", async (_, reply) => {
    const check = await health.check();
    const circuit = mistral.circuit;
    const healthy = check.healthy && circuit !== "open";
    const status = !check.healthy ? "unhealthy" : circuit === "closed" ? "healthy" : "degraded";
    return reply.code(healthy ? 200 : 503).send({
      status,
      environment: settings.NODE_ENV,
      revision: settings.GIT_REVISION,
      timestamp: new Date().toISOString(),
      services: {
        mistral: { healthy, latency_ms: check.latencyMs, checked_at: new Date(check.at).toISOString(), circuit },
      },
    });
  });

  app.post<{ Body: ChatRequest }>("/api/chat", { schema: chatRequest }, async (request, reply) => {
    try {
      const answer = await mistral.complete(request.body.message, whenGone(reply));
      return { reply: answer.reply, model: answer.model, finish_reason: answer.finishReason, fallback: false };
    } catch (error) {
      return unavailable(reply, error);
    }
  });

  app.post<{ Body: ChatRequest }>("/api/chat/stream", { schema: chatRequest }, async (request, reply) => {
    const gone = whenGone(reply);
    const events = new PassThrough();
    let begun = false;
    const send = (event: object) => {
      if (gone.aborted) return;
      if (!begun) reply.type("text/event-stream").header("cache-control", "no-cache").send(events);
      begun = true;
      events.write(`data: ${JSON.stringify(event)}\n\n`);
    };
    try {
      const answer = await mistral.stream(request.body.message, gone, (delta) => send({ delta }));
      send({ done: true, finish_reason: answer.finishReason, model: answer.model });
    } catch (error) {
      if (!begun) return unavailable(reply, error);
      send({ error: described(error) });
    }
    events.end();
    return reply;
  });

  /** A failed call is never a success: 503, with the text that a client shows in place of an answer. */
  function unavailable(reply: FastifyReply, error: unknown): FastifyReply {
    const problem = described(error);
    metrics.fallbacks.inc({ to: "text" });
    const wait = error instanceof Failure ? error.details.retryAfterMs : undefined;
    if (wait !== undefined) reply.header("retry-after", Math.ceil(wait / 1000));
    return reply.code(503).send({ error: problem, fallback: true, reply: settings.FALLBACK_TEXT });
  }

  app.setNotFoundHandler((_, reply) => refused(reply, 404, "not_found", "There is no such resource."));
  app.setErrorHandler((error: { name?: string; statusCode?: number; validation?: unknown }, request, reply) => {
    if (error.validation)
      return refused(reply, 400, "invalid_request", 'Send {"message": text} of 1 to 8000 characters.');
    const status = error.statusCode ?? 500;
    if (status < 500) return refused(reply, status, "invalid_request", "The request could not be read.");
    request.log.error({ error: error.name }, "the service itself failed");
    return refused(reply, 500, "internal", "The service failed.");
  });
  return app;
}

function described(error: unknown): { code: Kind; message: string } {
  if (!(error instanceof Failure)) throw error;
  return { code: error.kind, message: MESSAGES[error.kind] ?? "The model is not available." };
}

function refused(reply: FastifyReply, status: number, code: string, message: string): FastifyReply {
  return reply.code(status).send({ error: { code, message } });
}

/** Aborts when the user's connection closes, so that no tokens are paid for that nobody reads. */
function whenGone(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort(new Failure("cancelled")));
  return gone.signal;
}
