/** The circuit breaker around Mistral: it opens after so many failures in a row, and later lets a single trial through. */
import { CircuitState, ConsecutiveBreaker, circuitBreaker, handleWhen } from "cockatiel";
import { Failure } from "./failure.js";

export const CIRCUIT_LEVELS = { closed: 0, "half-open": 1, open: 2 } as const;
export type CircuitName = keyof typeof CIRCUIT_LEVELS;

export class Circuit {
  readonly #breaker;
  readonly #resetMs;
  #openedAt = 0;

  constructor(options: { threshold: number; resetMs: number; onChange: (state: "open" | "closed") => void }) {
    this.#resetMs = options.resetMs;
    this.#breaker = circuitBreaker(
      handleWhen((error) => error instanceof Failure && error.countsAgainstProvider),
      { breaker: new ConsecutiveBreaker(options.threshold), halfOpenAfter: options.resetMs },
    );
    this.#breaker.onBreak(() => {
      this.#openedAt = Date.now();
      options.onChange("open");
    });
    this.#breaker.onReset(() => options.onChange("closed"));
  }

  /** Half-open: the reset time is over, and the next request will be the trial or the trial is under way. */
  get state(): CircuitName {
    if (this.#breaker.state === CircuitState.Closed) return "closed";
    return this.#remainingMs > 0 ? "open" : "half-open";
  }

  get #remainingMs(): number {
    return Math.max(0, this.#openedAt + this.#resetMs - Date.now());
  }

  execute<T>(work: () => Promise<T>): Promise<T> {
    const onTrial = this.#breaker.state === CircuitState.HalfOpen;
    // cockatiel would let the others wait for the trial; their users are better served by the fallback, at once.
    if (onTrial || this.state === "open") {
      throw new Failure("circuit_open", { retryAfterMs: this.#remainingMs });
    }
    return this.#breaker.execute(work);
  }
}
