/** One watch: lines of JSON until its time is over, its reader is too slow, or what it follows has gaps. */
import type { Clock } from '../../../contracts/clock.ts'
import { every } from '../../../contracts/clock.ts'
import type { Catalog, ObjectChange } from './catalog.ts'
import type { KnownObject } from './rule-object.ts'
import type { Selector } from './selectors.ts'

/** Where the lines go. */
export interface WatchSink {
  write(text: string): void
  /** Bytes that the reader has not taken. */
  unread(): number
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

/** A reader that lets more than this pile up is cut off; it begins again. */
const maxUnreadBytes = 1024 * 1024
const bookmarkMs = 30_000

export function startWatch(
  catalog: Catalog,
  sink: WatchSink,
  order: WatchOrder,
  { clock, onSlow, onEnd }: { readonly clock: Clock; onSlow(): void; onEnd(): void },
): void {
  const send = (type: string, object: object): void => {
    sink.write(`${JSON.stringify({ type, object })}\n`)
    if (sink.unread() <= maxUnreadBytes) return
    onSlow()
    sink.destroy()
  }
  const tell = ({ type, known, before }: ObjectChange): void => {
    if (!order.isMeant(known)) return
    const is = type !== 'DELETED' && order.selector(known.object)
    const was = before !== undefined && order.selector(before.object)
    if (is) send(was ? 'MODIFIED' : 'ADDED', order.show(known))
    else if (was) send('DELETED', order.show({ ...before, revision: known.revision }))
  }
  const expired = (): void => {
    send('ERROR', {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'what happened since this resourceVersion is not known any more; list again',
      reason: 'Expired',
      code: 410,
    })
    sink.end()
  }
  if (order.since === undefined) {
    for (const known of catalog.all())
      if (order.isMeant(known) && order.selector(known.object)) send('ADDED', order.show(known))
    if (order.marksStart) send('BOOKMARK', order.bookmark(catalog.revision, true))
  } else {
    const missed = catalog.since(order.since)
    if (missed === undefined) {
      expired()
      onEnd()
      return
    }
    for (const change of missed) tell(change)
  }
  const stops = [
    catalog.listen({ onChange: tell, onReset: expired }),
    clock.after(order.timeoutMs, () => sink.end()),
    order.wantsBookmarks
      ? every(clock, bookmarkMs, () => send('BOOKMARK', order.bookmark(catalog.revision, false)))
      : () => undefined,
  ]
  sink.onClose(() => {
    for (const stop of stops) stop()
    onEnd()
  })
}
