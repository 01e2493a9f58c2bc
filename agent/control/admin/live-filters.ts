/**
 * What an operator says to choose requests and connections, checked: an unknown word or a wrong value is
 * E_ADMIN_REQUEST, never "everything".
 */
import * as z from 'zod'
import { MeshError } from '../../../contracts/errors.ts'
import type { ConnectionFilter, StreamFilter, TapFilter } from '../../../contracts/live-view.ts'

const word = z.string().min(1).max(512)

const tapFilter = z.strictObject({
  service: word.optional(),
  status: z
    .string()
    .regex(/^(?:[1-5]xx|[1-5]\d\d)$/, 'allowed is 404 or 5xx')
    .optional(),
  method: word.optional(),
  pathPrefix: word.optional(),
  source: word.optional(),
  leastMs: z.coerce.number().min(0).max(3_600_000).optional(),
  failed: z.stringbool().optional(),
})

const connectionFilter = z.strictObject({
  ids: z
    .array(z.string().regex(/^\d+-\d+$/, 'allowed is an id of /connections'))
    .min(1)
    .max(1000)
    .optional(),
  listener: word.optional(),
  protocol: word.optional(),
  peer: word.optional(),
})

const streamFilter = z.strictObject({
  ids: z
    .array(z.string().regex(/^\d+-\d+-\d+$/, 'allowed is an id of /streams'))
    .min(1)
    .max(1000)
    .optional(),
  listener: word.optional(),
  service: word.optional(),
  peer: word.optional(),
  leastMs: z.coerce.number().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
})

/** Of an order, in JSON: what is no number must not become 0, which chooses all. */
const streamOrder = streamFilter.extend({ leastMs: z.number().positive().optional() })

const closeOrder = connectionFilter.extend({ how: z.enum(['end', 'cut']).default('end') })

/** Exactly optional: a key without a value is not there. */
type Given<Parsed> = { [Key in keyof Parsed]: Exclude<Parsed[Key], undefined> }

function read<Parsed extends object>(schema: z.ZodType<Parsed>, value: unknown): Given<Parsed> {
  const { data, error } = schema.safeParse(value)
  if (error !== undefined)
    throw new MeshError(
      'E_ADMIN_REQUEST',
      error.issues.map(({ message, path }) => `${path.join('.') || 'the request'}: ${message}`).join('; '),
    )
  return Object.fromEntries(Object.entries(data!).filter(([, one]) => one !== undefined)) as Given<Parsed>
}

/** Of the query; `id` is not part of it. */
export function readTapFilter(query: URLSearchParams): TapFilter {
  const { format: _format, id: _id, ...filter } = Object.fromEntries(query)
  return read(tapFilter, filter)
}

export function readConnectionFilter(query: URLSearchParams): ConnectionFilter {
  const { format: _format, ...filter } = Object.fromEntries(query)
  return read(connectionFilter, filter)
}

export function readStreamFilter(query: URLSearchParams): StreamFilter {
  const { format: _format, ...filter } = Object.fromEntries(query)
  return read(streamFilter, filter)
}

/** To end streams something has to be named. */
export function readStreamOrder(body: unknown): StreamFilter {
  const filter = read(streamOrder, body ?? {})
  if (Object.keys(filter).length === 0)
    throw new MeshError('E_ADMIN_REQUEST', 'which streams? name ids, listener, service, peer or leastMs')
  return filter
}

/** To end connections something has to be named. */
export function readCloseOrder(body: unknown): { readonly filter: ConnectionFilter; readonly how: 'end' | 'cut' } {
  const { how, ...filter } = read(closeOrder, body ?? {})
  if (Object.keys(filter).length === 0)
    throw new MeshError('E_ADMIN_REQUEST', 'which connections? name ids, listener, protocol or peer')
  return { filter, how }
}
