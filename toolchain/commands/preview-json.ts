import { z } from "zod";
import { ToolchainError } from "../machine/say.ts";

/** Nothing else of a resource is read, so that nothing else of it can be shown. */
const state = z.object({
  custom: z.boolean().optional(),
  retainOnDelete: z.boolean().optional(),
  inputs: z.object({ name: z.unknown(), bucket: z.unknown() }).partial().optional(),
});

const preview = z.object({
  steps: z
    .array(
      z.object({
        op: z.string(),
        urn: z.string(),
        oldState: state.nullish(),
        newState: state.nullish(),
        diffReasons: z.array(z.string()).nullish(),
      }),
    )
    .default([]),
  diagnostics: z.array(z.object({ severity: z.string(), message: z.string() })).default([]),
});

type Step = z.output<typeof preview>["steps"][number];
type State = z.output<typeof state>;

export type Fate = "stays" | "created" | "imported" | "updated" | "replaced" | "removed" | "read";

/** What becomes of one resource. */
export interface Change {
  name: string;
  /** From the outermost component to the resource itself, e.g. budgie:stack:Database and docker:index/volume:Volume. */
  types: string[];
  fate: Fate;
  /** The inputs that differ. */
  properties: string[];
  before: State | undefined;
  after: State | undefined;
  /** Whether it only groups or connects others: a component, a provider, the stack itself. */
  structural: boolean;
}

export interface Preview {
  changes: Change[];
  warnings: string[];
  errors: string[];
}

const FATES: Record<string, Fate> = {
  same: "stays",
  refresh: "stays",
  create: "created",
  import: "imported",
  update: "updated",
  replace: "replaced",
  "create-replacement": "replaced",
  "delete-replaced": "replaced",
  "import-replacement": "replaced",
  "read-replacement": "replaced",
  "discard-replaced": "replaced",
  delete: "removed",
  discard: "removed",
  read: "read",
};

/** Reads what `pulumi preview --json --show-sames` printed. Throws for anything else: a change must not go unseen. */
export function readPreview(text: string): Preview {
  const parsed = preview.safeParse(asJson(text));
  if (!parsed.success) {
    throw new ToolchainError(
      `What \`pulumi preview --json\` printed is not what it should be: ${z.prettifyError(parsed.error)}`,
    );
  }
  const { steps, diagnostics } = parsed.data;
  const said = (severity: string) => [
    ...new Set(
      diagnostics
        .filter(diagnostic => diagnostic.severity === severity)
        .map(({ message }) => message.replace(new RegExp(`^${severity}: `), "").trim()),
    ),
  ];
  const errors = said("error");
  // The stack itself is always among them.
  if (steps.length === 0 && errors.length === 0) {
    throw new ToolchainError("`pulumi preview --json` listed no resources: it says nothing of what changes.");
  }
  return { changes: merged(steps), warnings: said("warning"), errors };
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A replacement may take several steps; together they are one change. */
function merged(steps: readonly Step[]): Change[] {
  const changes = new Map<string, Change>();
  for (const step of steps) {
    const earlier = changes.get(step.urn);
    const { name, types } = nameAndTypes(step.urn);
    changes.set(step.urn, {
      name,
      types,
      structural: (step.newState ?? step.oldState)?.custom === false || /^pulumi:/.test(types.at(-1) ?? ""),
      fate: earlier ? "replaced" : fateOf(step.op),
      properties: [...new Set([...(earlier?.properties ?? []), ...(step.diffReasons ?? [])])].sort(),
      before: step.oldState ?? earlier?.before,
      after: step.newState ?? earlier?.after,
    });
  }
  return [...changes.values()];
}

function fateOf(op: string): Fate {
  const fate = FATES[op];
  if (!fate)
    throw new ToolchainError(
      `\`pulumi preview\` says "${op}" of a resource, and this does not know what that is.`,
    );
  return fate;
}

/** `urn:pulumi:STACK::PROJECT::TYPE$TYPE::NAME`; a name may hold anything. */
function nameAndTypes(urn: string): { name: string; types: string[] } {
  const [, , types = "", ...name] = urn.split("::");
  return { name: name.join("::"), types: types.split("$") };
}
