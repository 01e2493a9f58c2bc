/**
 * What another user of this host can do: requests and connections made by a process of that user, or in another network
 * namespace. Needs root.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

export interface Ask {
  /** `host:port`, or the path of a unix socket. */
  readonly at: string
  /** `GET /path` */
  readonly line: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface Heard {
  /** 0 = no answer; `text` says why. */
  readonly status: number
  readonly text: string
}

const program = `
const { request } = require('node:http')
const one = ({ at, line, headers, body }) => new Promise((resolve) => {
  const [method, path] = line.split(' ')
  const colon = at.lastIndexOf(':')
  const where = at.startsWith('/') ? { socketPath: at } : { host: at.slice(0, colon), port: Number(at.slice(colon + 1)) }
  const outgoing = request({ ...where, method, path, headers: headers ?? {}, agent: false, timeout: 10000 }, (incoming) => {
    let text = ''
    incoming.on('data', (bytes) => (text += bytes)); incoming.on('error', () => {})
    incoming.on('end', () => resolve({ status: incoming.statusCode, text }))
  })
  outgoing.on('timeout', () => outgoing.destroy(new Error('timeout')))
  outgoing.on('error', (error) => resolve({ status: 0, text: String(error.code ?? error.message) }))
  outgoing.end(body)
})
;(async () => { let asked = ''; for await (const bytes of process.stdin) asked += bytes
  const asks = JSON.parse(asked), heard = []; for (const ask of asks) heard.push(await one(ask)); process.stdout.write(JSON.stringify(heard)) })()
`

/** Runs a program of ours as this user, in this network namespace; ends when the program does or is killed. */
export function runAs(uid: number, script: string, argument: string, namespace?: string): ChildProcess {
  const node = [process.execPath, '-e', script, argument]
  const options = { cwd: '/', stdio: ['pipe', 'pipe', 'inherit'] as ['pipe', 'pipe', 'inherit'] }
  return namespace === undefined
    ? spawn(node[0]!, node.slice(1), { ...options, uid, gid: uid })
    : spawn(
        'ip',
        ['netns', 'exec', namespace, 'setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', ...node],
        options,
      )
}

/** One request after the other. */
export async function askAs(uid: number, asks: readonly Ask[], namespace?: string): Promise<Heard[]> {
  const child = runAs(uid, program, '', namespace)
  // an argument has its limit
  child.stdin!.end(JSON.stringify(asks))
  let text = ''
  child.stdout!.on('data', (bytes: Buffer) => (text += bytes.toString()))
  await once(child, 'close')
  return JSON.parse(text) as Heard[]
}

const holder = `
const { connect } = require('node:net')
const [host, port, count] = process.argv[1].split(' ')
let open = 0
for (let i = 0; i < Number(count); i++) {
  const dial = () => {
    const socket = connect(Number(port), host)
    socket.on('connect', () => { if (++open === Number(count)) process.stdout.write('open') })
    socket.on('error', () => {}); socket.on('close', () => setTimeout(dial, 100)); socket.resume()
  }
  dial()
}
`

/**
 * Silent connections, opened anew as they are closed. Resolves when all have been open; the caller kills the process.
 */
export async function holdSilentAs(
  uid: number,
  host: string,
  port: number,
  count: number,
  namespace?: string,
): Promise<ChildProcess> {
  const child = runAs(uid, holder, `${host} ${port} ${count}`, namespace)
  await once(child.stdout!, 'data')
  return child
}
