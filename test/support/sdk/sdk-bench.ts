/** A mesh whose agent is a stand-in, in a folder of its own: anew for each test of the suite that makes it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import type { AddressInfo, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createMesh } from '../../../sdk/index.ts'
import type { Mesh, MeshOptions } from '../../../sdk/index.ts'
import { discovery, startStandIn } from './stand-in-agent.ts'
import type { StandInAgent } from './stand-in-agent.ts'

interface Closable {
  close(): Promise<unknown>
}

export class SdkBench {
  folder = ''
  agent!: StandInAgent
  mesh!: Mesh
  private readonly options: Partial<MeshOptions>
  private readonly closing: Closable[] = []

  constructor(options: Partial<MeshOptions> = {}) {
    this.options = options
    beforeEach(async () => {
      this.folder = mkdtempSync(join(tmpdir(), 'hm-sdk-'))
      this.agent = await startStandIn(discovery({}))
    })
    afterEach(async () => {
      await this.mesh?.close()
      await Promise.all(this.closing.splice(0).map((one) => one.close()))
      await this.agent.close()
      rmSync(this.folder, { recursive: true, force: true })
    })
  }

  /** What the agent says by then is known when it resolves. */
  async open(): Promise<void> {
    this.mesh = createMesh({
      application: 'shop',
      dataDirectory: this.folder,
      agent: this.agent.address,
      ...this.options,
    })
    await this.mesh.ready()
  }

  /** Ends with the test. */
  with<One extends Closable>(one: One): One {
    this.closing.push(one)
    return one
  }

  /** Ends now what would end with the test. */
  async end(one: Closable): Promise<void> {
    this.closing.splice(this.closing.indexOf(one), 1)
    await one.close()
  }

  /** Its address, once it listens; it ends with the test. */
  async listening(server: Server, host = '127.0.0.1'): Promise<string> {
    server.listen(0, host)
    await once(server, 'listening')
    this.closing.push({ close: async () => void server.close() })
    return `${host}:${(server.address() as AddressInfo).port}`
  }
}
