/** A small document from a URL: bounded in size and time, without redirects, and from no forbidden address. */
import { lookup } from 'node:dns'
import { isIP } from 'node:net'
import type { LookupFunction } from 'node:net'
import { forbiddenAddress } from '../../../../contracts/forbidden-address.ts'
import { withoutBrackets } from '../../../../contracts/ip-literal.ts'

export interface FetchOptions {
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly allowLoopback: boolean
}

/** Rejects with an error whose message is for an operator and holds nothing of the answer. */
export type FetchText = (url: string, options: FetchOptions) => Promise<string>

export const fetchText: FetchText = (text, { allowLoopback, maxBytes, timeoutMs }) =>
  new Promise((resolve, reject) => {
    const url = new URL(text)
    const host = withoutBrackets(url.hostname)
    const problem = isIP(host) === 0 ? undefined : addressProblem(host, allowLoopback)
    if (problem !== undefined) {
      reject(new Error(problem))
      return
    }
    // Not `import`: see admin/server.ts.
    const { request } = process.getBuiltinModule(url.protocol === 'https:' ? 'node:https' : 'node:http')
    const outgoing = request(
      url,
      {
        agent: false,
        lookup: checkedLookup(allowLoopback),
        headers: { accept: 'application/json', 'user-agent': 'hostmesh' },
      },
      (reply) => {
        if (reply.statusCode !== 200) {
          outgoing.destroy(new Error(`status ${reply.statusCode}, allowed 200`))
          return
        }
        const chunks: Buffer[] = []
        let held = 0
        reply.on('data', (chunk: Buffer) => {
          held += chunk.length
          if (held > maxBytes) outgoing.destroy(new Error(`more than ${maxBytes} bytes`))
          else chunks.push(chunk)
        })
        reply.on('error', reject)
        reply.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
      },
    )
    const overall = setTimeout(() => outgoing.destroy(new Error(`no whole answer after ${timeoutMs} ms`)), timeoutMs)
    overall.unref()
    outgoing.on('close', () => {
      clearTimeout(overall)
      reject(new Error('the connection ended before the answer'))
    })
    outgoing.on('error', reject)
    outgoing.end()
  })

function addressProblem(address: string, allowLoopback: boolean): string | undefined {
  const reason = forbiddenAddress(address)
  if (reason === undefined || (reason === 'loopback' && allowLoopback)) return undefined
  return `${address} is an address of kind ${reason}, to which nothing is sent`
}

/** Every address that a name leads to is checked where it is used, so that a second answer changes nothing. */
function checkedLookup(allowLoopback: boolean): LookupFunction {
  return (host, options, done) => {
    lookup(host, { ...options, all: true }, (error, found) => {
      if (error !== null) {
        done(error, '')
        return
      }
      const good = found.filter(({ address }) => addressProblem(address, allowLoopback) === undefined)
      const [first] = good
      if (first === undefined) done(new Error(`${host} has no address to which something may be sent`), '')
      else if (options.all === true) done(null, good)
      else done(null, first.address, first.family)
    })
  }
}
