import { appError } from '#shared/protocol/errors.ts';
import { type SqliteDatabase, type SqliteStatement, type SqliteValue, sqliteErrorCode, toDatabaseError } from './sqlite.ts';

/**
 * One open database with its prepared statements. Every method is synchronous. A write outside `transaction` commits on its own.
 * Throws `disk_full`, `disk_failed`, `database_busy` or `database_damaged` where SQLite does, and `shutting_down` once closed.
 */
export class SqlConnection {
  readonly #database: SqliteDatabase;
  readonly #statements = new Map<string, SqliteStatement>();
  #isOpen = true;

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  /** Runs `work` as one durable step: on return it is on the disk, on a throw nothing of it has happened. Does not nest. */
  transaction<T>(work: () => T): T {
    return this.#guard(() => {
      this.#database.exec('BEGIN IMMEDIATE');
      try {
        const value = work();
        this.#database.exec('COMMIT');
        return value;
      } catch (thrown) {
        this.#rollBack();
        throw thrown;
      }
    });
  }

  /** The first row, or undefined. */
  get(sql: string, ...values: SqliteValue[]): unknown {
    return this.#guard(() => this.#statement(sql).get(...values));
  }

  all(sql: string, ...values: SqliteValue[]): unknown[] {
    return this.#guard(() => this.#statement(sql).all(...values));
  }

  /** As `all`, for SQL that is put together from parts: the statement is not kept, as there are many. */
  allOnce(sql: string, ...values: SqliteValue[]): unknown[] {
    return this.#guard(() => this.#database.prepare(sql).all(...values));
  }

  run(sql: string, ...values: SqliteValue[]): void {
    this.#guard(() => this.#statement(sql).run(...values));
  }

  close(): void {
    this.#isOpen = false;
    this.#statements.clear();
    this.#database.close();
  }

  #statement(sql: string): SqliteStatement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** After some errors (full disk, I/O) SQLite has rolled back already; a failing second ROLLBACK would hide the first error. */
  #rollBack(): void {
    try {
      this.#database.exec('ROLLBACK');
    } catch (thrown) {
      if (sqliteErrorCode(thrown) === null) throw thrown;
    }
  }

  #guard<T>(work: () => T): T {
    if (!this.#isOpen) throw appError('shutting_down', {});
    try {
      return work();
    } catch (cause) {
      throw toDatabaseError(cause);
    }
  }
}
