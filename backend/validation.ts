import type { FastifySchemaValidationError, FastifyServerOptions } from "fastify";
import { parseAmount } from "./amount.ts";

/** Strict: nothing is converted, unknown fields are named instead of dropped, and all problems are told at once. */
export const ajvOptions: NonNullable<FastifyServerOptions["ajv"]> = {
  customOptions: {
    allErrors: true,
    coerceTypes: false,
    removeAdditional: false,
    allowUnionTypes: true,
    keywords: [
      {
        keyword: "amount",
        schemaType: "boolean",
        validate: (_schema: boolean, data: unknown) => parseAmount(data) !== undefined,
      },
    ],
  },
};

/** Schema fragments; every one of them has its sentence in `messageFor`. */
export const fields = {
  line: (maxLength: number) => ({ type: "string", minLength: 1, maxLength, pattern: "\\S" }),
  text: (maxLength: number) => ({ type: "string", maxLength }),
  email: { type: "string", maxLength: 254, format: "email" },
  id: { type: "integer", minimum: 1, maximum: Number.MAX_SAFE_INTEGER },
  date: { type: "string", format: "date" },
  amount: { type: ["string", "number"], amount: true },
  boolean: { type: "boolean" },
} as const;

export function body<P extends Record<string, object>>(
  properties: P,
  rules: { required?: (keyof P & string)[]; minProperties?: number },
) {
  return { type: "object", additionalProperties: false, properties, ...rules } as const;
}

/** `/ledgers/:id`: up to 15 digits, so that the number is exact. */
export const idParameter = {
  type: "object",
  properties: { id: { type: "string", pattern: "^[0-9]{1,15}$" } },
} as const;

export interface Problem {
  field: string;
  message: string;
}

/** One problem for each field. What was sent is never repeated: it may be a password. */
export function problems(errors: FastifySchemaValidationError[], context: string | undefined): Problem[] {
  const byField = new Map<string, Problem>();
  for (const error of errors) {
    const field = fieldOf(error) || context || "body";
    if (!byField.has(field)) byField.set(field, { field, message: messageFor(error) });
  }
  return [...byField.values()];
}

function fieldOf({ instancePath, params }: FastifySchemaValidationError): string {
  const path = instancePath.split("/").slice(1);
  const name = params.missingProperty ?? params.additionalProperty;
  return (typeof name === "string" ? [...path, name] : path).join(".");
}

const TYPES: Record<string, string> = {
  string: "text",
  boolean: "true or false",
  integer: "a whole number",
  object: "a JSON object",
  "string,number": "an amount",
};

const FORMATS: Record<string, string> = {
  email: "must be an e-mail address",
  date: "must be a date such as 2025-11-25",
};

function messageFor({ keyword, params, message }: FastifySchemaValidationError): string {
  switch (keyword) {
    case "required":
      return "is required";
    case "additionalProperties":
      return "is not a known field";
    case "type":
      return `must be ${TYPES[String(params.type)] ?? params.type}`;
    case "minLength":
      return params.limit === 1 ? "must not be empty" : `must have at least ${params.limit} characters`;
    case "maxLength":
      return `must have at most ${params.limit} characters`;
    case "pattern":
      return params.pattern === "\\S" ? "must not be blank" : "must be a number";
    case "format":
      return FORMATS[String(params.format)] ?? "has the wrong form";
    case "amount":
      return "must be an amount from 0 to 999999999999.99 with at most two decimals";
    case "minProperties":
      return "must name at least one field to change";
    default:
      return message ?? "is not valid";
  }
}
