/** Connections over HTTP/1.1: to agents and endpoints as they are, to centers with an introduction in front. */
import { Agent } from 'node:http'
import net from 'node:net'
import type { Introduction } from '../tiers/introduction.ts'
import type { Route } from '../tiers/routes.ts'

/** To one address, and in all; more calls wait for a connection to be free. */
const maxSocketsPerAddress = 256
const maxSockets = 2048
const maxIdleSockets = 64
/** A connection rests at most so long, ms: servers of Node close after 5 s, and a call must not meet that. */
const idleMs = 4000

export class Pools {
  private readonly plain: Agent
  private readonly introduced: Agent

  constructor(introduction: Pick<Introduction, 'header'>) {
    const options = {
      keepAlive: true,
      maxSockets: maxSocketsPerAddress,
      maxTotalSockets: maxSockets,
      maxFreeSockets: maxIdleSockets,
      timeout: idleMs,
      scheduling: 'lifo',
    } as const
    this.plain = new Agent(options)
    this.introduced = new IntroducedAgent(introduction, options)
  }

  of(route: Route): Agent {
    return route.tier === 'center' ? this.introduced : this.plain
  }

  close(): void {
    this.plain.destroy()
    this.introduced.destroy()
  }
}

class IntroducedAgent extends Agent {
  private readonly introduction: Pick<Introduction, 'header'>

  constructor(introduction: Pick<Introduction, 'header'>, options: ConstructorParameters<typeof Agent>[0]) {
    super(options)
    this.introduction = introduction
  }

  override createConnection(options: net.NetConnectOpts): net.Socket {
    const socket = net.connect({ ...options, noDelay: true })
    try {
      // before anybody else can write
      socket.write(this.introduction.header('', false))
    } catch (error) {
      // thrown from here it would end the process, where a connection is made for a call that waited for one. In the
      // next turn the call listens, and no byte has gone
      process.nextTick(() => socket.destroy(error as Error))
    }
    return socket
  }
}
