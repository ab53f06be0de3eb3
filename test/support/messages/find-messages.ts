import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { EXIT } from "../../../shared/exit-codes.ts";
import { PROJECT_FOLDER } from "../../../shared/project-folder.ts";

/** What the program may say when it ends without having done what it was asked to. */
export interface Message {
  /** In the project's folder. */
  file: string;
  /** `{name}` stands for what is filled in. */
  text: string;
  /** What to type next; null when the message has no place of its own for it. */
  next: string | null;
  /** Of the command; null where Pulumi decides. */
  exit: string | null;
}

const SIDES = ["agent", "components", "engine", "object-store", "scripts", "settings", "shared", "toolchain"];

/** Where each kind of failure has its exit code, its text and its next step. */
const KINDS: Record<
  string,
  { exit?: number; text: number; next?: number; defaultExit?: string; defaultNext?: string }
> = {
  Stop: { exit: 0, text: 1, next: 2 },
  refuse: {
    text: 0,
    next: 1,
    defaultExit: "unusableBackup",
    defaultNext: "Use another backup: `npx budgie list` shows them.",
  },
  StepFailure: { text: 0, next: 1 },
  ToolchainError: { text: 0, defaultExit: "failed" },
};

/** Every message that the program's source spells out, by file. Lists of messages elsewhere have tables and pages of their own. */
export function findMessages(): Message[] {
  const files = SIDES.flatMap(side =>
    readdirSync(join(PROJECT_FOLDER, side), { recursive: true, encoding: "utf8" })
      .filter(file => file.endsWith(".ts") && !file.includes("node_modules"))
      .map(file => `${side}/${file}`)
      .sort(),
  );
  const sources = files.map(file => {
    const text = readFileSync(join(PROJECT_FOLDER, file), "utf8");
    return ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  });
  for (const source of sources) readConstants(source);
  return sources.flatMap(source => messagesIn(source.fileName, source));
}

/** Texts with a name of their own, such as `TRY_AGAIN`. */
const constants = new Map<string, string>();

function readConstants(source: ts.SourceFile): void {
  for (const statement of source.statements.filter(ts.isVariableStatement))
    for (const { name, initializer } of statement.declarationList.declarations) {
      const isText =
        initializer && (ts.isStringLiteralLike(initializer) || ts.isBinaryExpression(initializer));
      if (/^[A-Z_]+$/.test(name.getText()) && isText) constants.set(name.getText(), shown(initializer) ?? "");
    }
}

function messagesIn(file: string, source: ts.SourceFile): Message[] {
  const found: Message[] = [];
  const visit = (node: ts.Node) => {
    const called = ts.isNewExpression(node) || ts.isCallExpression(node) ? node.expression.getText() : "";
    const kind = Object.hasOwn(KINDS, called) ? KINDS[called] : undefined;
    const given = (node as ts.NewExpression | ts.CallExpression).arguments;
    if (kind && given) {
      const at = (place: number | undefined) => (place === undefined ? undefined : given[place]);
      const text = shown(at(kind.text));
      const next = shown(at(kind.next)) ?? kind.defaultNext ?? null;
      if (text !== null && /\s/.test(text))
        found.push({ file, text, next, exit: exitOf(at(kind.exit), kind.defaultExit) });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function exitOf(node: ts.Expression | undefined, otherwise: string | undefined): string | null {
  const name = node ? /^EXIT\.(\w+)$/.exec(node.getText())?.[1] : otherwise;
  if (name === undefined) return null;
  return String(EXIT[name as keyof typeof EXIT]);
}

/** As an operator would read it. */
function shown(node: ts.Node | undefined): string | null {
  if (!node || node.getText() === "undefined") return null;
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node))
    return node.templateSpans.reduce(
      (text, { expression, literal }) => text + filledIn(expression) + literal.text,
      node.head.text,
    );
  if (ts.isIdentifier(node) && constants.has(node.text)) return constants.get(node.text) ?? null;
  if (ts.isParenthesizedExpression(node)) return shown(node.expression);
  if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken)
    return `${shown(node.left)}${shown(node.right)}`;
  if (ts.isConditionalExpression(node)) return `${shown(node.whenTrue)} / ${shown(node.whenFalse)}`;
  if (ts.isCallExpression(node) && /^\[[\s\S]*\]\.join$/.test(node.expression.getText()))
    return elements((node.expression as ts.PropertyAccessExpression).expression as ts.ArrayLiteralExpression);
  return filledIn(node);
}

function elements({ elements: all }: ts.ArrayLiteralExpression): string {
  return all.map(one => (ts.isSpreadElement(one) ? filledIn(one.expression) : shown(one))).join(" ⏎ ");
}

/** A word of the code that stands for words of the message. */
function filledIn(node: ts.Node): string {
  if (ts.isConditionalExpression(node) || ts.isStringLiteralLike(node) || ts.isTemplateExpression(node))
    return `{${shown(node)}}`;
  if (ts.isIdentifier(node) && constants.has(node.text)) return constants.get(node.text) ?? "";
  return `{${nameOf(node)}}`;
}

/** What says nothing of what it is the message of, or the length. */
const OF_ANYTHING = ["message", "length", "name", "shown"];

function nameOf(node: ts.Node): string {
  if (ts.isIdentifier(node)) return node.text;
  if (ts.isPropertyAccessExpression(node))
    return OF_ANYTHING.includes(node.name.text) ? nameOf(node.expression) : node.name.text;
  if (ts.isCallExpression(node)) {
    const { expression: callee, arguments: given } = node;
    if (ts.isPropertyAccessExpression(callee)) return nameOf(callee.expression);
    return given[0] ? nameOf(given[0]) : nameOf(callee);
  }
  if (
    ts.isAsExpression(node) ||
    ts.isParenthesizedExpression(node) ||
    ts.isNonNullExpression(node) ||
    ts.isElementAccessExpression(node) ||
    ts.isAwaitExpression(node)
  )
    return nameOf(node.expression);
  if (ts.isBinaryExpression(node)) return nameOf(node.left);
  if (ts.isArrayLiteralExpression(node) && node.elements[0]) return nameOf(node.elements[0]);
  if (ts.isSpreadElement(node)) return nameOf(node.expression);
  return "…";
}
