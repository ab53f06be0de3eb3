import type { FastifyError, FastifyRequest, FastifyServerOptions } from "fastify";

type LoggerOptions = Exclude<FastifyServerOptions["logger"], boolean | undefined>;

/** JSON lines on stdout. No headers, bodies or query strings; the redaction stays as a net under what is added later. */
export function loggerOptions(): LoggerOptions {
  return {
    level: "info",
    redact: {
      paths: [
        "password",
        "*.password",
        "body",
        "*.body",
        "cookie",
        "*.cookie",
        "headers",
        "*.headers",
        "token",
        "*.token",
      ],
      censor: "(hidden)",
    },
    serializers: {
      req: (request: FastifyRequest) => ({ method: request.method, path: request.url.split("?")[0] }),
      // Not the rest of a database error: its detail repeats values.
      err: (error: FastifyError) => ({
        type: error.name,
        message: error.message,
        stack: error.stack ?? "",
        ...(error.code === undefined ? {} : { code: error.code }),
      }),
    },
  };
}
