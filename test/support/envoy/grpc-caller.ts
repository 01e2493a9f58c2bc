/**
 * A client of gRPC that finds its service by xDS, as a process of its own: `grpc-caller.ts TARGET`, with
 * `GRPC_XDS_BOOTSTRAP_CONFIG`. Each line on standard input `COUNT [NAME VALUE]` makes so many calls, with that
 * metadata, and is answered by one line: a list of `[status, version]`.
 */
import { Client, credentials, Metadata } from '@grpc/grpc-js'
import { register } from '@grpc/grpc-js-xds'
import { createInterface } from 'node:readline'

register()
const client = new Client(process.argv[2]!, credentials.createInsecure())
const raw = (bytes: Buffer): Buffer => bytes

function call(metadata: Metadata): Promise<readonly [number, string]> {
  return new Promise((resolve) => {
    let version = ''
    const options = { deadline: Date.now() + 10_000 }
    client
      .makeUnaryRequest('/test.Orders/Get', raw, raw, Buffer.alloc(0), metadata, options, (error) =>
        resolve([error?.code ?? 0, error === null ? version : error.details]),
      )
      .on('metadata', (head) => (version = String(head.get('version')[0])))
  })
}

for await (const line of createInterface({ input: process.stdin })) {
  const [count, name, value] = line.split(' ')
  const metadata = new Metadata()
  if (name !== undefined) metadata.set(name, value!)
  const results: (readonly [number, string])[] = []
  for (let at = 0; at < Number(count); at++) results.push(await call(metadata))
  console.log(JSON.stringify(results))
}
process.exit(0)
