/** The service's settings, read once from the environment and refused as a whole when one is wrong. */
import { readFile } from "node:fs/promises";
import { z } from "zod";

const milliseconds = z.coerce.number().int().positive();
const filled = z.string().trim().min(1);

const Environment = z.object({
  NODE_ENV: z.enum(["development", "staging", "production"]).default("development"),
  HOST: filled.default("0.0.0.0"),
  PORT: z.coerce.number().int().min(0).max(65535).default(8080),
  GIT_REVISION: filled.default("unknown"),
  LOG_LEVEL: z.enum(["fatal", "error", "warn", "info", "debug", "silent"]).default("info"),
  LOG_FILE: filled.optional(),
  MISTRAL_API_KEY: filled.optional(),
  MISTRAL_API_KEY_FILE: filled.optional(),
  MISTRAL_BASE_URL: z.url({ protocol: /^https?$/ }).optional(),
  MISTRAL_MODEL: filled,
  MISTRAL_FALLBACK_MODEL: filled.optional(),
  MISTRAL_DEBUG: z.never("makes the SDK print the API key: unset it").optional(),
  FALLBACK_TEXT: filled.default("The assistant is not available at the moment. Please try again in a few minutes."),
  REQUEST_DEADLINE_MS: milliseconds.default(30_000),
  RETRY_MAX: z.coerce.number().int().min(0).max(10).default(3),
  BREAKER_THRESHOLD: z.coerce.number().int().positive().default(5),
  BREAKER_RESET_MS: milliseconds.default(30_000),
  MAX_CONCURRENCY: z.coerce.number().int().positive().default(32),
});

const Rules = Environment.refine((env) => env.MISTRAL_API_KEY ?? env.MISTRAL_API_KEY_FILE, {
  path: ["MISTRAL_API_KEY"],
  error: "set it, or MISTRAL_API_KEY_FILE",
}).refine((env) => env.MISTRAL_FALLBACK_MODEL !== env.MISTRAL_MODEL, {
  path: ["MISTRAL_FALLBACK_MODEL"],
  error: "equals MISTRAL_MODEL, which is no fallback",
});

export type Settings = Readonly<Omit<z.infer<typeof Environment>, "MISTRAL_API_KEY" | "MISTRAL_API_KEY_FILE">> & {
  /** The key as of now: a mounted file is read anew for each call, so that a rotated key needs no restart. */
  readonly apiKey: () => Promise<string>;
};

/** Throws an error that names each wrong variable, and never its value. */
export function settingsFrom(environment: NodeJS.ProcessEnv): Settings {
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
  const parsed = Rules.safeParse(set);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `  ${issue.path.join(".")}: ${issue.message}`);
    throw new Error(`The environment is not complete:\n${problems.join("\n")}`);
  }
  const { MISTRAL_API_KEY: key = "", MISTRAL_API_KEY_FILE: file, ...settings } = parsed.data;
  const apiKey = file ? async () => (await readFile(file, "utf8")).trim() : async () => key;
  return { ...settings, apiKey };
}
