/** `hostmesh events`: the timeline of a node. */
import type { EventsAnswer, MeshEvent } from '../../contracts/events.ts'
import { MeshError } from '../../contracts/errors.ts'
import { adminJson } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { SinceTime } from '../options.ts'
import type { Output } from '../output.ts'
import { pause, untilStopped } from '../terminal/stoppable.ts'

export interface EventsCall {
  readonly since: SinceTime | undefined
  /** With commas; undefined = all. */
  readonly kind: string | undefined
  readonly follow: boolean
}

const askEveryMs = 1000

/** With `follow` the agent may restart or be away meanwhile: that is said once, and asked again. */
export async function events(
  { admin, output }: CommandContext,
  call: EventsCall,
  now: () => number,
): Promise<ExitCode> {
  const query = new URLSearchParams({ format: 'json' })
  if (call.kind !== undefined) query.set('kind', call.kind)
  if (call.since !== undefined)
    query.set('since', String('at' in call.since ? call.since.at : Math.round(now() - call.since.agoMs)))
  const ask = async (): Promise<EventsAnswer> => (await adminJson(admin, `/events?${query.toString()}`)) as EventsAnswer
  const first = await ask()
  if (!call.follow) {
    if (output.isJson) for (const event of first.events) output.line(JSON.stringify(event))
    else output.table(heading, first.events.map(cells))
    return exitCodes.ok
  }
  for (const event of first.events) print(output, event)
  let { newest } = first
  let isAway = false
  return untilStopped(async (stop) => {
    for (;;) {
      await pause(askEveryMs, stop)
      if (stop.aborted) return exitCodes.ok
      query.set('after', String(newest))
      try {
        const answer = await ask()
        if (isAway) output.problem('the agent answers again')
        isAway = false
        if (answer.newest < newest) output.problem('the timeline begins anew')
        if (answer.oldest > newest + 1) output.problem('more happened than is kept: some events are not shown')
        newest = answer.newest
        for (const event of answer.events) print(output, event)
      } catch (error) {
        if (!(error instanceof MeshError)) throw error
        if (!isAway) output.problem(`${error.message}; asking again`)
        isAway = true
      }
    }
  })
}

const heading = ['time', 'kind', 'what', 'about', 'message']

function cells(event: MeshEvent): string[] {
  return [new Date(event.at).toISOString(), event.kind, event.what, event.about, event.message]
}

function print(output: Output, event: MeshEvent): void {
  if (output.isJson) {
    output.line(JSON.stringify(event))
    return
  }
  const text = cells(event).join('  ')
  const style = { info: undefined, warning: 'yellow', error: 'red' } as const
  const colour = style[event.severity]
  output.line(colour === undefined ? text : output.style(colour, text))
}
