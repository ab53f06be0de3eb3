import { AsyncLocalStorage } from "node:async_hooks";

const answers = new AsyncLocalStorage<Map<string, Promise<unknown>>>();

/**
 * Within `work` each question of `askedOnce` has one answer, however many ask, also where one such work is part of another. For what
 * looks at how things stand, and changes nothing.
 */
export function askingOnce<T>(work: () => Promise<T>): Promise<T> {
  return answers.getStore() ? work() : answers.run(new Map(), work);
}

/** The answer that the same work has had to this question, or else `ask`'s. */
export function askedOnce<T>(question: string, ask: () => Promise<T>): Promise<T> {
  const known = answers.getStore();
  if (!known) return ask();
  const answer = (known.get(question) as Promise<T> | undefined) ?? ask();
  known.set(question, answer);
  return answer;
}
