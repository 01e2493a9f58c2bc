import { expect } from 'chai'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, get, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { claimLoopbackBlock } from '../../../cli/launch/loopback-block.ts'
import { runFiles } from '../../../contracts/run-directory.ts'

const main = join(import.meta.dirname, '../../../cli/main.ts')

async function askOrders(address: string): Promise<string> {
  const asked = get({ host: address, port: 15_001, headers: { host: 'orders' }, agent: false })
  const [reply] = (await once(asked, 'response')) as [IncomingMessage]
  return `${reply.statusCode} ${await text(reply)}`
}

describe('hostmesh agent, without a watchdog', function () {
  this.timeout(30_000)

  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    it(`answers what is in flight at ${signal}, and ends well`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'hm-alone-'))
      const block = await claimLoopbackBlock(Math.random)
      const address = block.address(1)
      const hasRequest = Promise.withResolvers<void>()
      const mayAnswer = Promise.withResolvers<void>()
      const application = createServer((_request, reply) => {
        hasRequest.resolve()
        void mayAnswer.promise.then(() => reply.end('done'))
      })
      application.listen(8080, address)
      await once(application, 'listening')
      mkdirSync(join(folder, 'registry'))
      writeFileSync(
        join(folder, 'registry/orders.json'),
        JSON.stringify({ service: 'orders', endpoints: [{ address, port: 8080 }] }),
      )
      const config = join(folder, 'agent.yaml')
      writeFileSync(
        config,
        JSON.stringify({
          runDir: 'run',
          stateDir: 'state',
          workers: 2,
          host: { address },
          registries: [{ name: 'files', type: 'file', directory: 'registry' }],
          endpoints: { allowLoopbackEndpoints: true },
          outbound: { http: `${address}:15001` },
          admin: { address: `${address}:15000` },
          metrics: { address: `${address}:15020` },
          readiness: { address: `${address}:15021` },
        }),
      )
      const agent = spawn(process.execPath, [main, 'agent', '-c', config], { stdio: ['ignore', 'ignore', 'pipe'] })
      const ended = once(agent, 'exit') as Promise<[number | null, string | null]>
      try {
        await new Promise<void>((resolve, reject) => {
          let log = ''
          agent.stderr.on('data', (part: Buffer) => {
            log += part.toString()
            if (log.split('"serving"').length > 2) resolve()
          })
          agent.once('exit', () => reject(new Error(log)))
        })
        const call = askOrders(address)
        await hasRequest.promise
        agent.kill(signal)
        // control ends at once: by then a second signal would have reached the workers
        while (existsSync(join(folder, 'run', runFiles.control(1)))) await new Promise((done) => setTimeout(done, 10))
        mayAnswer.resolve()
        expect(await call).to.equal('200 done')
        expect(await ended).to.deep.equal([0, null])
        expect(readdirSync(join(folder, 'state')).filter((name) => name.startsWith('transport-deaths'))).to.deep.equal(
          [],
        )
      } finally {
        mayAnswer.resolve()
        agent.kill('SIGTERM')
        await ended
        application.close()
        application.closeAllConnections()
        await block.release()
        rmSync(folder, { recursive: true, force: true })
      }
    })
})
