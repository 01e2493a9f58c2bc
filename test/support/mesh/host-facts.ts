/** What a whole host says of itself at its admin port. */
import type { DemoHost } from './mesh.ts'

/** Port by which the network reaches a local application. */
export async function inboundPort(host: DemoHost, service: string): Promise<number> {
  const { ports } = (await host.json('/ports?format=json')) as {
    ports: { direction: string; service: string; port: number }[]
  }
  return ports.find((one) => one.direction === 'inbound' && one.service.endsWith(`@@${service}`))!.port
}

/** Sum of a metric over the samples whose line holds each of `labels`. */
export async function counted(host: DemoHost, metric: string, ...labels: string[]): Promise<number> {
  const { text } = await host.admin.get('/stats/prometheus')
  const found = text
    .split('\n')
    .filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `))
    .filter((line) => labels.every((label) => line.includes(label)))
  return found.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}
