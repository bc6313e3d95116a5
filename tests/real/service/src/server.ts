/** Starts the service, and ends it so that no request is lost. */
import { pino } from "pino";
import { createApp } from "./app.js";
import { type Settings, settingsFrom } from "./config.js";

const SHUTDOWN_MARGIN_MS = 5_000;

function loadedSettings(): Settings {
  try {
    return settingsFrom(process.env);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(78); // EX_CONFIG of sysexits.h
  }
}

const { FLAW } = process.env;
const settings = FLAW ? await (await import("./flaws.js")).flawed(FLAW, loadedSettings()) : loadedSettings();
const log = pino(
  {
    level: settings.LOG_LEVEL,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level) => ({ level }) },
    base: { service: "chat", environment: settings.NODE_ENV, revision: settings.GIT_REVISION },
    redact: ["*.authorization", "*.headers", "*.apiKey", "*.message", "headers", "authorization", "apiKey"],
    serializers: { err: (error: Error) => ({ type: error.name }) },
  },
  pino.destination({ dest: settings.LOG_FILE ?? 1, sync: true }),
);

for (const event of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(event, (error: unknown) => {
    log.fatal({ error: error instanceof Error ? error.name : typeof error }, event);
    process.exit(1);
  });
}

const app = createApp(settings, log);

async function stop(signal: string): Promise<void> {
  log.info({ signal }, "stopping");
  setTimeout(() => process.exit(1), settings.REQUEST_DEADLINE_MS + SHUTDOWN_MARGIN_MS).unref();
  await app.close();
  log.info("stopped");
  process.exit(0);
}

for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => void stop(signal));

await app.listen({ host: settings.HOST, port: settings.PORT });
