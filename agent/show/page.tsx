import type { Child } from "hono/jsx";
import type { Level, StatusLine } from "../../shared/status-lines.ts";
import { humanSize } from "../base/reporter.ts";
import { shownMinute } from "../base/shown-moment.ts";
import { seconds } from "../status/shown-seconds.ts";
import { Band, Mark, type Span, spansOf } from "./band.tsx";
import { type Board, type Seen, staleness } from "./board.ts";
import type { ShownBackup } from "./shown-backups.ts";
import { SURVIVAL } from "./survival.ts";

const PER_PAGE = 25;
/** Points of each plot. */
const PLOTTED = 365;
const MARKS: Record<Level, string> = { OK: "✓", WARN: "✓", unknown: "?", FAIL: "!" };

export interface PageOptions {
  /** Which of the pages of backups, from 1 on. */
  page: number;
  /** All the style there is, for one element. */
  style: string;
  /** Whether there is a program that draws the plots. */
  plots: boolean;
  now: Date;
}

/** The page as HTML. Everything but the plots is there without any program in the browser. */
export function pageHtml(board: Board, options: PageOptions): string {
  return `<!doctype html>${<Page board={board} options={options} />}`;
}

function Page({ board, options }: { board: Board; options: PageOptions }) {
  const { seen } = board;
  const stale = staleness(board, options.now);
  const level: Level = stale === null && seen ? seen.status.verdict.level : "unknown";
  const sentence = stale ?? seen?.status.verdict.sentence ?? "";
  const stack = seen?.status.stack;
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{`${MARKS[level]} Budgie${stack ? `, stack ${stack}` : ""}`}</title>
        <link rel="icon" href="data:," />
        <style dangerouslySetInnerHTML={{ __html: options.style }} />
      </head>
      <body>
        <header>
          <h1>{`Is Budgie's data safe?${stack ? ` Stack ${stack}` : ""}`}</h1>
          <div class={`verdict ${level}`} role="status">
            <span class="mark" aria-hidden="true">
              {MARKS[level]}
            </span>
            <span>
              <strong>{`${level === "OK" || level === "WARN" ? "Yes. " : ""}${sentence}`}</strong>
              {seen && <span class="when">{`Looked at ${shownMinute(new Date(seen.status.at))}`}</span>}
            </span>
          </div>
        </header>
        <main>{seen && <Content seen={seen} options={options} />}</main>
        <footer>
          <p>
            This page only shows. What changes something is typed: <code>npx budgie --help</code>. All times
            are in UTC.
          </p>
        </footer>
        {options.plots && seen && seen.backups.length > 1 && <PlotData backups={seen.backups} />}
      </body>
    </html>
  );
}

function Content({ seen, options }: { seen: Seen; options: PageOptions }) {
  const { status, backups } = seen;
  return (
    <>
      <Moments seen={seen} now={options.now.getTime()} />
      <section aria-labelledby="lines">
        <h2 id="lines">How things stand</h2>
        <ul class="lines">
          {status.lines.map(line => (
            <Line key={line.id} line={line} />
          ))}
        </ul>
      </section>
      <Backups backups={backups} page={options.page} />
      {options.plots && backups.length > 1 && <Plots />}
      <Survival />
    </>
  );
}

function Moments({ seen: { status, backups }, now }: { seen: Seen; now: number }) {
  const reach = status.pointInTime;
  const spans = spansOf(backups, reach, now);
  return (
    <section aria-labelledby="moments">
      <h2 id="moments">What can be gone back to</h2>
      {spans.length === 0 && (
        <p>
          Nothing yet: there is no backup. Take one: <code>npx budgie backup</code>
        </p>
      )}
      {spans.map(span => (
        <Band
          key={span.from}
          span={span}
          backups={backups}
          reach={reach}
          label={labelOf(span, now, backups, reachInWords(reach))}
        />
      ))}
      {spans.length > 0 && <Key />}
    </section>
  );
}

function reachInWords(reach: Seen["status"]["pointInTime"]): string {
  if (!reach?.earliest || !reach.latest) return "";
  const gaps =
    reach.gaps.length === 0
      ? ""
      : `, but for ${reach.gaps.length === 1 ? "1 gap" : `${reach.gaps.length} gaps`}`;
  return `. Any moment from ${shownMinute(new Date(reach.earliest))} to ${shownMinute(new Date(reach.latest))}${gaps}`;
}

/** The band in words. */
function labelOf(span: Span, now: number, backups: readonly ShownBackup[], reach: string): string {
  const within = backups.filter(({ at }) => at !== null && Date.parse(at) >= span.from);
  const count = (proof: ShownBackup["proof"]) => within.filter(backup => backup.proof === proof).length;
  const day = (at: number) => new Date(at).toISOString().slice(0, 10);
  return `${day(span.from)} to ${day(now)}: ${within.length} backups, ${count("proven")} proven, ${count("unproven")} not yet, ${count("bad")} that do not count${reach}`;
}

function Key() {
  const item = (shape: Child, text: string) => (
    <li>
      <svg aria-hidden="true">{shape}</svg>
      {text}
    </li>
  );
  return (
    <ul class="key">
      {item(
        <rect class="reach-key reach" x="0" y="2" width="18" height="10" fill="var(--band)" />,
        "any moment",
      )}
      {item(<rect class="gap" x="5" y="0" width="5" height="14" fill="var(--fail)" />, "a gap: no moment")}
      {item(<Mark x="8" y={7} proof="proven" />, "proven by a restore")}
      {item(<Mark x="8" y={7} proof="unproven" />, "not yet proven")}
      {item(<Mark x="8" y={7} proof="bad" />, "does not count")}
      {item(<path class="pin" d="M3 2 L13 2 L8 11 Z" />, "pinned")}
      {item(<rect class="copied" x="5" y="2" width="6" height="10" />, "off-site")}
      {item(<rect class="uncopied" x="5" y="2" width="6" height="10" />, "not off-site")}
    </ul>
  );
}

function Line({ line: { what, level, figure, problems, notes, next } }: { line: StatusLine }) {
  const said = [...problems, ...notes].join("\n");
  return (
    <li>
      <span class={`level ${level}`}>{level}</span>
      <span class="figure">
        <b>{what}</b> {figure}
      </span>
      {problems.map(problem => (
        <p key={problem} class="said bad-news">
          {problem}
        </p>
      ))}
      {notes.map(note => (
        <p key={note} class="said">
          {note}
        </p>
      ))}
      {next !== null && !said.includes(next) && (
        <p class="said">
          Type: <code>{next}</code>
        </p>
      )}
    </li>
  );
}

function Backups({ backups, page }: { backups: readonly ShownBackup[]; page: number }) {
  const pages = Math.max(1, Math.ceil(backups.length / PER_PAGE));
  const shown = Math.min(Math.max(1, page), pages);
  const rows = backups.slice((shown - 1) * PER_PAGE, shown * PER_PAGE);
  const places = [...new Set(backups.flatMap(({ copies }) => copies.map(({ place }) => place)))];
  if (backups.length === 0) return null;
  return (
    <section aria-labelledby="backups">
      <h2 id="backups">{`Backups (${backups.length})`}</h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable with the keyboard */}
      <section class="scroll" aria-label="the table of backups" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Backup</th>
              <th scope="col">Taken</th>
              <th scope="col">Size</th>
              <th scope="col">Took</th>
              <th scope="col">Proven</th>
              {places.length > 0 && <th scope="col">Off-site</th>}
              <th scope="col">Kept</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(backup => (
              <Backup key={backup.name} backup={backup} copied={places.length > 0} />
            ))}
          </tbody>
        </table>
      </section>
      {pages > 1 && (
        <nav aria-label="Pages of backups">
          {shown > 1 && <a href={`/?page=${shown - 1}#backups`}>newer</a>}
          {shown < pages && <a href={`/?page=${shown + 1}#backups`}>older</a>}
          <span class="soft">{`page ${shown} of ${pages}`}</span>
        </nav>
      )}
    </section>
  );
}

function Backup({ backup, copied }: { backup: ShownBackup; copied: boolean }) {
  const { name, at, reason, bytes, seconds: took, rows, proof, why, provenAt, provenSeconds } = backup;
  return (
    <tr>
      <td class="name">
        <code>{name}</code>
        {backup.pinned && <span class="tag WARN"> pinned</span>}
      </td>
      <td class="time">
        {at ? shownMinute(new Date(at)).replace(" UTC", "") : "not known"}
        {reason && <span class="soft"> {reason}</span>}
      </td>
      <td class="number">{`${humanSize(bytes)}${rows === null ? "" : `, ${rows} rows`}`}</td>
      <td class="number">{took === null ? "" : seconds(took)}</td>
      <td>
        {proof === "proven" && provenAt ? (
          <>
            <span class="tag OK">proven</span>{" "}
            {`${provenAt.slice(0, 10)}${provenSeconds === null ? "" : ` in ${seconds(provenSeconds)}`}`}
          </>
        ) : proof === "bad" ? (
          <>
            <span class="tag FAIL">does not count</span> {why}
          </>
        ) : (
          "not yet"
        )}
      </td>
      {copied && (
        <td class="time">
          {backup.copies
            .map(({ at: sent }) => (sent ? shownMinute(new Date(sent)).replace(" UTC", "") : "missing"))
            .join("; ")}
        </td>
      )}
      <td>{backup.stays ? backup.reasonToStay : `goes with the next pruning: ${backup.reasonToStay}`}</td>
    </tr>
  );
}

function Plots() {
  return (
    <section aria-labelledby="plots">
      <h2 id="plots">Over time</h2>
      <noscript>
        <p>The plots need JavaScript. The same figures are in the table above.</p>
      </noscript>
      <div class="plots">
        {[
          ["size", "Size of a backup"],
          ["took", "How long a backup took"],
          ["proof", "How long its proof took: about as long as a restore"],
        ].map(([id, text]) => (
          <figure key={id}>
            <div class="plot" id={`plot-${id}`} aria-hidden="true" />
            <figcaption>{text}</figcaption>
          </figure>
        ))}
      </div>
    </section>
  );
}

/** Oldest first, a column for each plot. */
function PlotData({ backups }: { backups: readonly ShownBackup[] }) {
  const points = backups
    .filter(({ at, proof }) => at !== null && proof !== "bad")
    .slice(0, PLOTTED)
    .reverse();
  const data = {
    at: points.map(({ at }) => Date.parse(at ?? "") / 1000),
    size: points.map(({ bytes }) => bytes),
    took: points.map(({ seconds }) => seconds),
    proof: points.map(({ provenSeconds }) => provenSeconds),
  };
  return (
    <>
      <script
        type="application/json"
        id="plot-data"
        dangerouslySetInnerHTML={{ __html: JSON.stringify(data).replaceAll("<", "\\u003c") }}
      />
      <script src="/plots.js" defer />
    </>
  );
}

function Survival() {
  return (
    <section aria-labelledby="survival">
      <h2 id="survival">What survives what</h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable with the keyboard */}
      <section class="scroll" aria-label="the table of what survives" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">You do</th>
              <th scope="col">The data</th>
            </tr>
          </thead>
          <tbody>
            {SURVIVAL.map(({ you, data, more }) => (
              <tr key={you}>
                <td>{you}</td>
                <td>
                  <span class={`tag ${data === "gone" ? "FAIL" : data === "stays" ? "OK" : "WARN"}`}>
                    {data}
                  </span>
                  {more && ` ${more}`}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </section>
  );
}
