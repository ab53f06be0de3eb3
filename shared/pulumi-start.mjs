import { createRequire, Module } from "node:module";

const require = createRequire(import.meta.url);

/**
 * Pulumi's SDK keeps a stack trace of every promise that it makes, and reads source maps for each: a fifth of the program's time. They
 * are read only with PULUMI_DEBUG_PROMISE_LEAKS. All other errors keep their traces.
 */
export function skipTracesOfPromises() {
  if (process.env.PULUMI_DEBUG_PROMISE_LEAKS) return;
  const prepare = Error.prepareStackTrace;
  if (prepare === undefined) return;
  Error.prepareStackTrace = (error, frames) =>
    frames[0]?.getFunctionName() === "debuggablePromise" ? String(error) : prepare(error, frames);
}

/**
 * Pulumi's SDK loads TypeScript's compiler for programs that hand it functions to run elsewhere: an eighth of the program's time. From
 * now on the compiler is loaded when something of it is asked for. This program never does.
 */
export function loadTypeScriptWhenUsed() {
  const path = pathOfTypeScript();
  if (path === undefined || require.cache[path] !== undefined) return;
  let compiler;
  const load = () => {
    if (compiler === undefined) {
      delete require.cache[path];
      compiler = require(path);
    }
    return compiler;
  };
  const exports = new Proxy({}, { get: (_, name) => load()[name], has: (_, name) => name in load() });
  require.cache[path] = Object.assign(new Module(path), { exports, loaded: true });
}

function pathOfTypeScript() {
  try {
    return require.resolve("typescript");
  } catch {
    // It is not installed where only what runs is: the SDK then has one of its own.
    return undefined;
  }
}
