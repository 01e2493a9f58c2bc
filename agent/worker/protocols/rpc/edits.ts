import { readableText } from '../../../../contracts/wire-text.ts'
import { headers } from '../../../../contracts/words.ts'
import type { AttributeEdits } from '../../../../rpc/codec.ts'
import type { Fields, HeaderEdits, RequestEdits } from '../../forward/streams.ts'

const nothing: ReadonlySet<string> = new Set()
/** What the other side could take for a word of the mesh. */
const ours: ReadonlySet<string> = new Set([headers.source, headers.route])

/**
 * What rules and the mesh change among the attributes of a request; null = nothing. `saysOurs`: it has some of ours.
 */
export function requestEdits(edits: RequestEdits, saysOurs: boolean): AttributeEdits | null {
  const { destination, requestId, route, source, trace } = edits
  if (route === null && destination === null && trace === null && requestId === null && source === '' && !saysOurs) {
    return null
  }
  const add: (readonly [string, string])[] = []
  if (route !== null) add.push(...route.fields.map(asText))
  if (destination !== null) add.push(...destination.fields.map(asText))
  if (trace !== null) add.push(...trace.fields())
  if (requestId !== null) add.push(['x-request-id', requestId.toString('latin1')])
  if (source !== '') add.push([headers.source, source])
  const hasOurs = saysOurs || source !== ''
  return { drop: joined(hasOurs ? ours : nothing, route?.drop ?? nothing, destination?.drop ?? nothing), add }
}

/** The same of a reply. */
export function replyEdits(...all: readonly (HeaderEdits | null)[]): AttributeEdits | null {
  const some = all.filter((one) => one !== null)
  if (some.length === 0) return null
  const add: Fields = some.flatMap(({ fields }) => fields.map(asText))
  return { drop: joined(...some.map(({ drop }) => drop)), add }
}

/** Fields are bytes, attributes are text. */
function asText([name, value]: Fields[number]): Fields[number] {
  return [name, readableText(value)]
}

function joined(...sets: readonly ReadonlySet<string>[]): ReadonlySet<string> {
  const full = sets.filter((set) => set.size > 0)
  return full.length === 0 ? nothing : full.length === 1 ? full[0]! : new Set(full.flatMap((set) => [...set]))
}
