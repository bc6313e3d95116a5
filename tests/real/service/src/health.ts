/** Whether Mistral answers: asked in the background for the metric, and on demand for /health. */
import { setInterval } from "node:timers";
import type { Failure } from "./failure.js";
import type { Metrics } from "./metrics.js";
import type { Mistral } from "./mistral.js";

/** Those who ask for /health wait two seconds, as a rule. */
const TIMEOUT_MS = 1_500;
const FRESH_MS = 2_000;
const INTERVAL_MS = 10_000;

export interface Check {
  readonly healthy: boolean;
  readonly latencyMs: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export class Health {
  #last: Check | undefined;
  #running: Promise<Check> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly mistral: Mistral,
    private readonly metrics: Metrics,
  ) {}

  /** What Mistral answered last, if that is fresh and no request has failed since; else what it answers now. */
  async check(): Promise<Check> {
    const last = this.#last;
    if (last && Date.now() - last.at < FRESH_MS && last.at > this.mistral.lastFailureAt) return last;
    this.#running ??= this.#ask().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #ask(): Promise<Check> {
    const started = performance.now();
    const kind = await this.mistral.ask(TIMEOUT_MS).then(
      () => undefined,
      (failure: Failure) => failure.kind,
    );
    this.metrics.up.set(kind === "server" || kind === "timeout" || kind === "network" ? 0 : 1);
    const latencyMs = Math.round(performance.now() - started);
    this.#last = { healthy: kind === undefined, latencyMs, at: Date.now() };
    return this.#last;
  }

  start(): void {
    void this.check();
    this.#timer = setInterval(() => void this.check(), INTERVAL_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
