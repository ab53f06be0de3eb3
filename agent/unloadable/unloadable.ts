import type { Ask } from "../server/questions.ts";
import type { LoadError } from "./load-error.ts";

/** Why a whole backup does not load, and what repairs the database that it was taken of. */
export interface Unloadable {
  /** In words: `the foreign key b24_a_fkey of public.b24`. */
  object: string;
  /** What is wrong with it, as the end of a sentence, without any value of a row. */
  why: string;
  /**
   * What the operator types in `npx budgie psql`, once the choice is made that the comments in it name. Empty when the live
   * database does not have the fault any more.
   */
  repair: string[];
}

/** Recognizes one kind of fault; null when the error is of another kind. */
export type Diagnosis = (error: LoadError, ask: Ask) => Promise<Unloadable | null>;
