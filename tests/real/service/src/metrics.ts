/** The metrics that the alerts and the dashboard read. Each series exists from the start: an absent one looks like "no errors". */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { PROVIDER_KINDS } from "./failure.js";

const SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 60];
const STATUSES = ["200", "400", "401", "403", "404", "422", "429", "500", "502", "503", "504", "timeout", "network"];

export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics(models: readonly string[]) {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const metrics = {
    registry,
    requests: new Counter({
      name: "mistral_requests_total",
      help: "Requests to Mistral, retries included, by model and by HTTP status or kind of failure.",
      labelNames: ["model", "status"],
      registers,
    }),
    errors: new Counter({
      name: "mistral_errors_total",
      help: "Failed requests to Mistral by kind; a stream that breaks off or a body that cannot be read is a server error.",
      labelNames: ["type"],
      registers,
    }),
    duration: new Histogram({
      name: "mistral_request_duration_seconds",
      help: "Time of one request to Mistral, to the end of its stream.",
      labelNames: ["model"],
      buckets: SECONDS,
      registers,
    }),
    circuit: new Gauge({
      name: "mistral_circuit_breaker_state",
      help: "0 closed, 1 half-open, 2 open.",
      registers,
    }),
    up: new Gauge({
      name: "mistral_up",
      help: "1 when Mistral answers the background check, be it with a refusal; 0 on a server error, a timeout or no connection.",
      registers,
    }),
    fallbacks: new Counter({
      name: "mistral_fallbacks_total",
      help: "Answers that did not come from the first model: from the fallback model, or the fallback text.",
      labelNames: ["to"],
      registers,
    }),
    http: new Histogram({
      name: "http_request_duration_seconds",
      help: "Time to answer a user, by route and status.",
      labelNames: ["route", "status"],
      buckets: SECONDS,
      registers,
    }),
  };
  for (const model of models) {
    metrics.duration.zero({ model });
    for (const status of STATUSES) metrics.requests.inc({ model, status }, 0);
  }
  for (const type of PROVIDER_KINDS) metrics.errors.inc({ type }, 0);
  for (const to of ["model", "text"]) metrics.fallbacks.inc({ to }, 0);
  for (const route of ["/api/chat", "/api/chat/stream"]) {
    for (const status of ["200", "400", "503"]) metrics.http.zero({ route, status });
  }
  return metrics;
}
