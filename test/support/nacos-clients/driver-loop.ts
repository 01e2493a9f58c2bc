/** The child's half of protocol.md, for clients that run on Node. */
import { createInterface } from 'node:readline'

export interface DriverClient {
  register(service: string, ip: string, port: number, metadata: Record<string, string>): Promise<void>
  deregister(service: string, ip: string, port: number): Promise<void>
  list(service: string): Promise<string>
  subscribe(service: string): Promise<void>
  get(dataId: string, group: string): Promise<string>
  publish(dataId: string, group: string, content: string): Promise<boolean>
  listen(dataId: string, group: string): Promise<void>
}

export interface DriverTarget {
  readonly server: string
  readonly username: string
  readonly password: string
}

export function hostList(hosts: readonly { ip: string; port: number; healthy?: boolean }[]): string {
  return hosts
    .filter((host) => host.healthy !== false)
    .map((host) => `${host.ip}:${host.port}`)
    .sort()
    .join(',')
}

/** Runs until standard input ends, then ends the process: foreign clients keep timers that nobody can stop. */
export async function driverLoop(
  connect: (target: DriverTarget, emit: (...fields: string[]) => void) => Promise<DriverClient>,
): Promise<void> {
  const [server = '', username = '', password = ''] = process.argv.slice(2)
  const say = (...fields: string[]): void => {
    process.stdout.write(`${fields.map((field) => field.replaceAll(/[\t\r\n]+/g, ' ')).join('\t')}\n`)
  }
  process.on('unhandledRejection', (error) => console.error('unhandled', error))
  process.on('uncaughtException', (error) => console.error('uncaught', error))
  let client: Promise<DriverClient> | undefined
  const serve = async (line: string): Promise<void> => {
    const [id = '', operation = '', a = '', b = '', c = '', d = ''] = line.split('\t')
    try {
      client ??= connect({ server, username, password }, (...fields) => say('@', ...fields))
      say('=', id, await perform(await client, operation, a, b, c, d))
    } catch (error) {
      say('!', id, error instanceof Error ? error.message : String(error))
    }
  }
  for await (const line of createInterface({ input: process.stdin })) void serve(line)
  process.exit(0)
}

async function perform(
  client: DriverClient,
  operation: string,
  a: string,
  b: string,
  c: string,
  d: string,
): Promise<string> {
  switch (operation) {
    case 'register': {
      const [key, value] = d.split('=')
      await client.register(a, b, Number(c), key === undefined || value === undefined ? {} : { [key]: value })
      return ''
    }
    case 'deregister':
      await client.deregister(a, b, Number(c))
      return ''
    case 'list':
      return await client.list(a)
    case 'subscribe':
      await client.subscribe(a)
      return ''
    case 'get':
      return await client.get(a, b)
    case 'publish':
      return String(await client.publish(a, b, c))
    case 'listen':
      await client.listen(a, b)
      return ''
    default:
      throw new Error(`unknown operation ${operation}`)
  }
}
