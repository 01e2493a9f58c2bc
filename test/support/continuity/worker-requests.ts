/** How many requests each worker of a host with real ones has answered, by its own count. */
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { StatsDump } from '../../../contracts/control-link.ts'

/** Where the control that stands in answers with what its workers say, and hangs up. */
export const statsSocket = (runDir: string, generation: number): string => join(runDir, `stats-${generation}.sock`)

/** In the order of the workers' indexes. */
export async function requestsOfWorkers(runDir: string, generation: number): Promise<readonly number[]> {
  const told = JSON.parse(await text(connect(statsSocket(runDir, generation)))) as [number, StatsDump][]
  return told
    .toSorted(([one], [other]) => one - other)
    .map(([, { series }]) => {
      const samples = series.find(({ name }) => name === 'istio_requests_total')?.samples ?? []
      return samples.reduce((sum, { value }) => sum + value, 0)
    })
}
