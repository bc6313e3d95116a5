/** Ways to be a bad service that are typical for Node.js, to see them found: FLAW=name. Nothing else knows of them. */
import type { Settings } from "./config.js";
import { Failure } from "./failure.js";
import { Mistral } from "./mistral.js";

/** Replaces one part of the good service; the settings that it then has. */
type Flaw = (settings: Settings) => Settings | Promise<Settings>;

const FLAWS: Record<string, Flaw> = {
  /** The client takes no base URL: whatever the variable says, it asks where it always asked. */
  "base-url-ignored": (settings) => ({ ...settings, MISTRAL_BASE_URL: undefined }),

  /** A promise that nobody waits for, and the process ends when it is rejected. */
  "dies-on-401": (settings) => {
    afterFailures((failure) => {
      if (failure.details.status === 401) void Promise.reject(failure);
    });
    return settings;
  },

  /** Every 33rd message fails by a mistake of ours: about 3 %, which nobody sees who tries it once. */
  "one-in-33": (settings) => {
    // eslint-disable-next-line @typescript-eslint/unbound-method -- it is called with the `this` of each call
    const good = Mistral.prototype.complete;
    let number = 0;
    Mistral.prototype.complete = async function (...call) {
      if (++number % 33 === 0) throw new TypeError("cannot read the tool call of undefined");
      return await good.apply(this, call);
    };
    return settings;
  },

  /** The SDK's own debug output: each request, with all of its headers. */
  "sdk-debug-output": (settings) => {
    process.env["MISTRAL_DEBUG"] = "1";
    return settings;
  },

  /** The key is read when the service starts; a new one needs a restart. */
  "key-read-once": async (settings) => {
    const key = await settings.apiKey();
    return { ...settings, apiKey: async () => key };
  },
};

/** The settings of the service that has this flaw. Throws where there is no such flaw. */
export async function flawed(name: string, settings: Settings): Promise<Settings> {
  const flaw = FLAWS[name];
  if (!flaw) throw new Error(`FLAW: there is no ${name}, but ${Object.keys(FLAWS).join(", ")}`);
  return await flaw(settings);
}

/** Lets `then` see each message that fails. */
function afterFailures(then: (failure: Failure) => void): void {
  // eslint-disable-next-line @typescript-eslint/unbound-method -- it is called with the `this` of each call
  const good = Mistral.prototype.complete;
  Mistral.prototype.complete = async function (...call) {
    try {
      return await good.apply(this, call);
    } catch (failure) {
      if (failure instanceof Failure) then(failure);
      throw failure;
    }
  };
}
