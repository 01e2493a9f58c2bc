/** The timeline, and drills, which are told to it. */
import { drillFaults, drillPhases, maxFaultMs } from '../../../contracts/drill-fault.ts'
import { eventKinds } from '../../../contracts/events.ts'
import { MeshError } from '../../../contracts/errors.ts'
import { stateFiles } from '../../../contracts/run-directory.ts'
import type { EventQuery } from '../events/timeline.ts'
import type { PageView } from './context.ts'
import { columns, either, jsonReply, textReply, type AdminPage } from './http.ts'

const drillWord = /^[a-z][a-z-]{0,39}$/

export function eventPages(context: PageView<'control' | 'fault'>): AdminPage[] {
  const { control, fault } = context
  return [
    {
      path: '/events',
      method: 'GET',
      help: 'what happened here: ?after=ID, ?since=TIME, ?kind=a,b, ?limit=N; `hostmesh events` asks',
      answer: (request) => {
        const answer = control.timeline.query(readEventQuery(request.query))
        const text = (): string =>
          columns([
            ['time', 'kind', 'severity', 'what', 'about', 'message'],
            ...answer.events.map(({ about, at, kind, message, severity, what }) => {
              return [new Date(at).toISOString(), kind, severity, what, about, message]
            }),
          ])
        return either(request, answer, text)
      },
    },
    {
      path: '/drill',
      method: 'POST',
      help: `{"fault", "forMs", "byMs"}: behave for so long (at most ${maxFaultMs} ms) as in this fault: ${drillFaults.join(', ')}; "none" ends it; {"drill", "phase"}: a drill tells the timeline: ${drillPhases.join(', ')}`,
      answer: async ({ body }) => {
        const { drill, phase: word } = Object(body) as Record<string, unknown>
        if (drill === undefined) return jsonReply(fault.take(body))
        if (typeof drill !== 'string' || !drillWord.test(drill))
          return textReply(`drill: found ${JSON.stringify(drill)}, allowed the name of a drill`, 400)
        const phase = drillPhases.find((one) => one === word)
        if (phase === undefined)
          return textReply(`phase: found ${JSON.stringify(word)}, allowed ${drillPhases.join(', ')}`, 400)
        control.timeline.add({ kind: 'drill', about: drill, what: phase, ...drillWords[phase] })
        // what comes next may be the end of this process
        await control.state.flush(stateFiles.events)
        return jsonReply({ drill, phase })
      },
    },
  ]
}

const drillWords = {
  began: { message: 'a drill breaks something on purpose', severity: 'info' },
  kept: { message: 'the drill ended: the promise was kept', severity: 'info' },
  broken: { message: 'the drill ended: the promise was broken; its report says why', severity: 'error' },
  aborted: { message: 'the drill gave up, because real requests suffered, and restored', severity: 'error' },
} as const

/** Throws E_ADMIN_REQUEST. */
function readEventQuery(query: URLSearchParams): EventQuery {
  const kinds = query.get('kind')?.split(',')
  for (const kind of kinds ?? [])
    if (!(eventKinds as readonly string[]).includes(kind))
      throw new MeshError(
        'E_ADMIN_REQUEST',
        `kind: found ${JSON.stringify(kind.slice(0, 80))}, allowed ${eventKinds.join(', ')}`,
      )
  const since = query.get('since')
  const at = since === null ? undefined : /^\d{1,16}$/.test(since) ? Number(since) : Date.parse(since)
  if (at !== undefined && Number.isNaN(at))
    throw new MeshError(
      'E_ADMIN_REQUEST',
      `since: found ${JSON.stringify(since?.slice(0, 80))}, allowed a time such as 2026-01-31T12:00:00Z, or ms since 1970`,
    )
  return {
    ...wholeNumber(query, 'after'),
    ...wholeNumber(query, 'limit'),
    ...(at === undefined ? {} : { since: at }),
    ...(kinds === undefined ? {} : { kinds: new Set(kinds) }),
  }
}

function wholeNumber(query: URLSearchParams, name: 'after' | 'limit'): { after?: number; limit?: number } {
  const text = query.get(name)
  if (text === null) return {}
  if (!/^\d{1,15}$/.test(text) || (name === 'limit' && Number(text) === 0))
    throw new MeshError(
      'E_ADMIN_REQUEST',
      `${name}: found ${JSON.stringify(text.slice(0, 80))}, allowed a whole number`,
    )
  return { [name]: Number(text) }
}
