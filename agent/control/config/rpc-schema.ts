/** `rpcProtocols`: frames of private RPC, as an organisation describes them. */
import * as z from 'zod'
import { hexBytes, integer, oneOf, rpcName, statusMap, text, wholeNumbers } from './scalars.ts'

const numberAt = { at: integer(0, 255).describe('Offset from the first byte of the frame.') }
const number = {
  ...numberAt,
  bytes: integer(1, 4).describe('Its width.'),
}
const value = (what: string) => integer(0, 4_294_967_295).describe(what)
const attribute = (what: string) => text(1, 128).describe(what)

export const rpcProtocolSchema = z.strictObject({
  name: rpcName().describe('What `protocol` calls it: `mainstay`.'),
  magic: hexBytes(1, 8).describe('The first bytes of every frame: `4d53`.'),
  byteOrder: oneOf('big', 'little').prefault('big').describe('Of all numbers.'),
  headBytes: integer(4, 256).describe('Length of the head, which is the same for all kinds of frames.'),
  length: z
    .strictObject({
      ...number,
      counts: oneOf('frame', 'behind-head', 'behind-length').describe(
        'The whole frame, what follows the head, or what follows the length itself.',
      ),
    })
    .describe('How long a frame is.'),
  id: z
    .strictObject({ ...numberAt, bytes: integer(1, 8).describe('Its width.') })
    .describe('The id that ties a reply to its request; we put in our own on the way to an endpoint.'),
  version: z
    .strictObject({ ...number, values: wholeNumbers().describe('The versions that are read.') })
    .optional()
    .describe('Version of the protocol; absent = there is none.'),
  type: z
    .strictObject({
      ...number,
      mask: value('The bits that say it.').prefault(255),
      request: value('A request.'),
      reply: value('A reply.'),
      oneWay: value('A request without a reply.').optional(),
      heartbeat: value('A sign of life that is answered.').optional(),
      heartbeatReply: value('The answer to it.').optional(),
      goAway: value('The sender takes no more requests.').optional(),
    })
    .describe('What a frame is.'),
  status: z
    .strictObject({
      ...number,
      ok: wholeNumbers().prefault([0]).describe('The call succeeded.'),
      http: statusMap()
        .prefault({})
        .describe('What other values mean in HTTP, `{ 5: 503, 7: 504 }`; 500 where nothing is said.'),
      error: value('What a reply of the mesh says where `http` has no such status.'),
    })
    .describe('How a call ended; of replies.'),
  timeout: z.strictObject(number).optional().describe('Milliseconds that the caller gives its call; 0 = none.'),
  attributes: z
    .strictObject({
      length: z.strictObject(number).describe('Bytes of the table, which follows the head.'),
      nameLengthBytes: integer(1, 4).describe('Width of the length before each name.'),
      valueLengthBytes: integer(1, 4).describe('Width of the length before each value.'),
      service: attribute('The attribute that names the called service.'),
      method: attribute('The attribute that names the method.'),
      timeout: attribute('The attribute that says the time-out, in milliseconds as digits.').optional(),
      fallback: attribute(
        'The attribute that names an `address:port` to call where the mesh knows no instance, in place of `x-mesh-fallback`; inside `fallbackNetworks` alone.',
      ).optional(),
      errorCode: attribute('Where a reply of the mesh says its code.').prefault('x-mesh-error'),
      errorReason: attribute('Where a reply of the mesh says why.').prefault('x-mesh-reason'),
    })
    .describe('Pairs of name and value.'),
})
