/**
 * How workers of tests serve their sockets: the default, or what HOSTMESH_TEST_TRANSPORT says (`epoll`, `raw`,
 * `public`), so that a whole suite can run on one of them.
 */
import { fastCallsFlag } from '../../../native/bare-functions.ts'

export const transportNodeFlags: readonly string[] = [fastCallsFlag]

export function transportWords(wanted = process.env['HOSTMESH_TEST_TRANSPORT'] ?? 'auto'): string[] {
  return ['--transport', wanted]
}
