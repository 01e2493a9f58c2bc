/** Bounds of the data path in `agent.yaml`. */
import * as z from 'zod'
import { defaultLimits } from '../../../contracts/snapshot.ts'
import { duration, integer, size } from './scalars.ts'

const durationText = (ms: number): string =>
  ms % 60_000 === 0 ? `${ms / 60_000}m` : ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`

export const limitsSection = z
  .strictObject({
    maxRequestLineBytes: size('1KiB', '1MiB').prefault(defaultLimits.maxRequestLineBytes).describe('Request line.'),
    maxHeadBytes: size('4KiB', '1MiB').prefault(defaultLimits.maxHeadBytes).describe('Head of a request or response.'),
    maxFields: integer(10, 10_000).prefault(defaultLimits.maxFields).describe('Header fields of one head.'),
    maxChunkLineBytes: size('16B', '64KiB').prefault(defaultLimits.maxChunkLineBytes).describe('One chunk-size line.'),
    maxChunkExtensionBytes: size('0B', '1MiB')
      .prefault(defaultLimits.maxChunkExtensionBytes)
      .describe('All chunk extensions of one message.'),
    maxInterimReplies: integer(1, 1000)
      .prefault(defaultLimits.maxInterimReplies)
      .describe('1xx replies to one request.'),
    maxPipelined: integer(1, 1000)
      .prefault(defaultLimits.maxPipelined)
      .describe('Pipelined requests of a connection that are served in one go before others get their turn.'),
    maxDrainBytes: size('0B', '1GiB')
      .prefault(defaultLimits.maxDrainBytes)
      .describe('Unwanted rest of a request that is read and thrown away, so that no reset destroys the answer.'),
    drainTimeout: duration('10ms', '1m')
      .prefault(durationText(defaultLimits.drainTimeoutMs))
      .describe('Time for that.'),
    headTimeout: duration('100ms', '10m')
      .prefault(durationText(defaultLimits.headTimeoutMs))
      .describe('From the first byte of a request to the end of its head.'),
    keepAliveTimeout: duration('1s', '1h')
      .prefault(durationText(defaultLimits.keepAliveTimeoutMs))
      .describe('Idle time of a downstream connection between requests.'),
    halfClosedTimeout: duration('10ms', '1h')
      .prefault(durationText(defaultLimits.halfClosedTimeoutMs))
      .describe(
        'Until the reply to a caller begins that closed its side, where such callers are answered (`halfClosed`).',
      ),
    bodyIdleTimeout: duration('100ms', '1h')
      .prefault(durationText(defaultLimits.bodyIdleTimeoutMs))
      .describe('Longest pause inside a body.'),
    requestTimeout: duration('100ms', '24h')
      .prefault(durationText(defaultLimits.requestTimeoutMs))
      .describe('Whole request, where no rule says otherwise.'),
    maxConnections: integer(16, 1_000_000)
      .prefault(defaultLimits.maxConnections)
      .describe('Downstream connections of one worker; more are shed.'),
    maxParkedRequests: integer(1, 100_000)
      .prefault(defaultLimits.maxParkedRequests)
      .describe('Requests of one worker that wait until control knows their service.'),
    parkTimeout: duration('10ms', '1m')
      .prefault(durationText(defaultLimits.parkTimeoutMs))
      .describe('Longest such wait.'),
    maxStreams: integer(1, 10_000)
      .prefault(defaultLimits.maxStreams)
      .describe('Streams of one HTTP/2 connection of a caller at once; it is told, and more are refused.'),
    streamWindowBytes: size('1KiB', '16MiB')
      .prefault(defaultLimits.streamWindowBytes)
      .describe('Content of one HTTP/2 stream that may wait here until the other side takes it.'),
    connectionWindowBytes: size('64KiB', '256MiB')
      .prefault(defaultLimits.connectionWindowBytes)
      .describe('The same for all streams of a connection.'),
    maxUdpSessions: integer(2, 1_000_000)
      .prefault(defaultLimits.maxUdpSessions)
      .describe('Sessions of UDP callers of one worker; one listener gets half of them.'),
    udpIdleTimeout: duration('100ms', '24h')
      .prefault(durationText(defaultLimits.udpIdleTimeoutMs))
      .describe('A session of a UDP caller without a datagram in either direction.'),
  })
  .prefault({})
  .describe('Bounds of the data path; `docs/limits.md` says what happens at each.')
