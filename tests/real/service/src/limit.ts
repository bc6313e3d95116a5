/** Time limits that hold: AbortSignal.any forgets an AbortSignal.timeout once memory is collected (Node 20). */
import { Failure } from "./failure.js";

/** Runs `work` under a signal that is aborted after `ms` milliseconds, or with `parent`. It is up to `work` to end then. */
export async function within<T>(
  ms: number,
  parent: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(new Failure("timeout")), ms);
  const follow = () => limit.abort(parent?.reason);
  parent?.addEventListener("abort", follow, { once: true });
  if (parent?.aborted) follow();
  try {
    return await work(limit.signal);
  } finally {
    clearTimeout(timer);
    parent?.removeEventListener("abort", follow);
  }
}

/** A Request does not hold on to its signal, so that after the headers `fetch` may miss an abort: this does not. */
export function orAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason as Failure);
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    if (signal.aborted) abort();
  });
}

/** The items of a stream, up to its end or to the abort; its connection is closed either way. */
export async function* untilAborted<T>(stream: ReadableStream<T>, signal: AbortSignal): AsyncGenerator<T> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await orAbort(reader.read(), signal);
      if (done) return;
      yield value;
    }
  } finally {
    // Rejects where the stream is broken, which its reader has been told by then.
    reader.cancel().catch(() => undefined);
  }
}
