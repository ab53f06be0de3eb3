/** A database that PostgreSQL itself can reload. So every backup, drill and restore must call it good. */
export interface StrangerDatabase {
  /** What is unusual in it. */
  name: string;
  /** Run by a superuser with plain settings, in a database named budgie_dev. No other script uses the same names. */
  sql: string;
  /** The first major version of PostgreSQL that knows it, where that is not the oldest that the stack runs. */
  from?: 17 | 18;
  /** Why it needs a database to itself. */
  apart?: string;
  /** The options of CREATE DATABASE, if any are needed. Scripts with the same options share a database. */
  database?:
    | "ENCODING 'LATIN1' LOCALE 'C'"
    | "ENCODING 'EUC_JP' LOCALE 'C'"
    | "ENCODING 'SQL_ASCII' LOCALE 'C'";
  /** Undoes what the script did outside its database. */
  undo?: string;
}
