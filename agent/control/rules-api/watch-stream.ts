/** One watch: lines of JSON until its time is over, its reader is too slow, or what it follows has gaps. */
import type { Clock } from '../../../contracts/clock.ts'
import { every } from '../../../contracts/clock.ts'
import type { Catalog, ObjectChange } from './catalog.ts'
import type { KnownObject } from './rule-object.ts'
import type { Selector } from './selectors.ts'
import { WatchLines, type LineSink } from './watch-lines.ts'

/** Where the lines go. */
export interface WatchSink extends LineSink {
  end(): void
  /** Ends at once, with what was not read. */
  destroy(): void
  onClose(call: () => void): void
}

export interface WatchOrder {
  /** undefined: everything that is there now comes first, as ADDED. */
  readonly since: number | undefined
  /** A BOOKMARK marks where what is there now ends. */
  readonly marksStart: boolean
  readonly wantsBookmarks: boolean
  readonly timeoutMs: number
  isMeant(known: KnownObject): boolean
  readonly selector: Selector
  /** The object as the reader's version of the API shows it. */
  show(known: KnownObject): object
  /** A bare object that carries a revision alone. */
  bookmark(revision: number, isStart: boolean): object
}

const bookmarkMs = 30_000
/** Another center may have told a revision that this one has not heard yet; ms. */
const hearMs = 2000

/** A reader that lets more than 1 MiB of changes pile up is cut off (`onSlow`); it begins again. */
export function startWatch(
  catalog: Catalog,
  sink: WatchSink,
  order: WatchOrder,
  { clock, onSlow, onEnd }: { readonly clock: Clock; onSlow(): void; onEnd(): void },
): void {
  let isOver = false
  const stops: (() => void)[] = []
  // before it ends: nothing may be written behind that
  const stop = (): void => {
    isOver = true
    for (const one of stops.splice(0)) one()
  }
  const lines = new WatchLines(sink, () => {
    stop()
    onSlow()
    sink.destroy()
  })
  const end = (): void => {
    stop()
    sink.end()
  }
  const expired = (): void => {
    stop()
    sink.write(expiredLine)
    sink.end()
  }
  const begin = (): void => {
    if (isOver) return
    const first = firstLines(catalog, order)
    if (first === undefined) return expired()
    const onChange = (change: ObjectChange): void => {
      const line = changeLine(order, change)
      if (line !== undefined) lines.say(line)
    }
    stops.push(catalog.listen({ onChange, onReset: expired }))
    lines.begin(first)
    if (order.wantsBookmarks)
      stops.push(every(clock, bookmarkMs, () => lines.say(lineOf('BOOKMARK', order.bookmark(catalog.revision, false)))))
  }
  stops.push(() => lines.stop(), clock.after(order.timeoutMs, end))
  sink.onClose(() => {
    stop()
    onEnd()
  })
  if (order.since === undefined || order.since <= catalog.revision) return begin()
  const { cancel, done } = catalog.heard(order.since)
  stops.push(clock.after(hearMs, cancel), cancel)
  void done.then(begin)
}

/** undefined: what happened since then is not known. */
function firstLines(catalog: Catalog, order: WatchOrder): Iterator<string> | undefined {
  if (order.since === undefined) return presentLines(catalog.all(), catalog.revision, order)
  const missed = catalog.since(order.since)
  return missed && missedLines(missed, order)
}

function* presentLines(there: readonly KnownObject[], revision: number, order: WatchOrder): Generator<string> {
  for (const known of there)
    if (order.isMeant(known) && order.selector(known.object)) yield lineOf('ADDED', order.show(known))
  if (order.marksStart) yield lineOf('BOOKMARK', order.bookmark(revision, true))
}

function* missedLines(missed: readonly ObjectChange[], order: WatchOrder): Generator<string> {
  for (const change of missed) {
    const line = changeLine(order, change)
    if (line !== undefined) yield line
  }
}

/** undefined: it is nothing to this watch. */
function changeLine(order: WatchOrder, { type, known, before }: ObjectChange): string | undefined {
  if (!order.isMeant(known)) return undefined
  const is = type !== 'DELETED' && order.selector(known.object)
  const was = before !== undefined && order.selector(before.object)
  if (is) return lineOf(was ? 'MODIFIED' : 'ADDED', order.show(known))
  return was ? lineOf('DELETED', order.show({ ...before, revision: known.revision })) : undefined
}

function lineOf(type: string, object: object): string {
  return `${JSON.stringify({ type, object })}\n`
}

const expiredLine = lineOf('ERROR', {
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Failure',
  message: 'what happened since this resourceVersion is not known here; list again',
  reason: 'Expired',
  code: 410,
})
