/** What can go wrong with a call to Mistral, as one type: an error of the SDK becomes one where it is caught. */
import { ConnectionError, HTTPClientError, MistralError } from "@mistralai/mistralai/models/errors";

/** The kinds that `mistral_errors_total` counts. */
export const PROVIDER_KINDS = ["auth", "rate_limited", "server", "timeout", "network", "invalid"] as const;
export type ProviderKind = (typeof PROVIDER_KINDS)[number];
/** The other three never reached Mistral, or were ended by the caller: no fault of the provider's. */
export type Kind = ProviderKind | "circuit_open" | "overloaded" | "cancelled";

interface Details {
  readonly status?: number | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly correlationId?: string | undefined;
}

/** Carries no text of the provider's: its bodies can repeat the prompt. */
export class Failure extends Error {
  override readonly name = "Failure";
  /** Set once a part of the answer has reached the user: a second try would repeat it. */
  partial = false;

  constructor(
    readonly kind: Kind,
    readonly details: Details = {},
  ) {
    super(kind);
  }

  /** The HTTP status, or the kind where there was none. */
  get status(): string {
    return String(this.details.status ?? this.kind);
  }

  /** 408, 429, 5xx, a timeout or a broken connection: the same request may succeed a moment later. */
  get transient(): boolean {
    const { status } = this.details;
    return (
      !this.partial &&
      (this.kind === "rate_limited" ||
        this.kind === "timeout" ||
        this.kind === "network" ||
        (this.kind === "server" && status !== undefined))
    );
  }

  /** Limits and capacity are counted by model, and models retire one by one: another model may well answer. */
  get isOfTheModel(): boolean {
    return !this.partial && [404, 429, 503].includes(this.details.status ?? 0);
  }

  /** A request that is refused for its own sake, or for its key, says nothing about the provider's state. */
  get countsAgainstProvider(): boolean {
    return ["rate_limited", "server", "timeout", "network"].includes(this.kind);
  }
}

/** `signal` is the one under which the call ran; it is aborted with a Failure as its reason. */
export function failureFrom(error: unknown, signal: AbortSignal): Failure {
  if (error instanceof Failure) return error;
  if (signal.aborted) return signal.reason as Failure;
  if (error instanceof MistralError) return fromResponse(error);
  const brokenOff = error instanceof TypeError && error.message === "terminated";
  if (brokenOff || error instanceof ConnectionError || error instanceof HTTPClientError) return new Failure("network");
  // A status of success with a body that cannot be read: broken JSON, an error object in the stream.
  return new Failure("server");
}

function fromResponse({ statusCode: status, headers }: MistralError): Failure {
  const details = { retryAfterMs: retryAfterMs(headers), correlationId: correlationId(headers) };
  return status < 400 ? new Failure("server", details) : new Failure(kindOf(status), { ...details, status });
}

function kindOf(status: number): ProviderKind {
  if (status === 401 || status === 403) return "auth";
  if (status === 408) return "timeout";
  if (status === 429) return "rate_limited";
  return status >= 500 ? "server" : "invalid";
}

/** Retry-After is in seconds or an HTTP date (RFC 9110, section 10.2.3). */
function retryAfterMs(headers: Headers): number | undefined {
  const value = headers.get("retry-after");
  if (!value) return undefined;
  const wait = Number.isNaN(Number(value)) ? Date.parse(value) - Date.now() : Number(value) * 1000;
  return Number.isNaN(wait) ? undefined : Math.max(0, wait);
}

export function correlationId(headers: Headers): string | undefined {
  return headers.get("mistral-correlation-id") ?? undefined;
}
