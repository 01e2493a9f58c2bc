/** A stand-in for Nacos, by gRPC. */
import { startFaultServer } from '../nacos/fault-server.ts'
import { wireInstance } from '../nacos/stand-in/store.ts'
import type { RunningRegistry } from './running-registry.ts'

export async function runNacos(): Promise<RunningRegistry> {
  const server = await startFaultServer()
  // its own port lies below those that a relay may get, and clients compute the second one from it
  const sectionBy = (port: number): object => ({
    name: 'nacos',
    type: 'nacos',
    servers: [server.address],
    grpcPortOffset: port - server.port,
  })
  return {
    name: 'nacos',
    what: 'a stand-in for Nacos, gRPC',
    port: server.grpcPort,
    section: sectionBy(server.grpcPort),
    sectionBy,
    isPushing: true,
    put: async (name, { address, port, weight }) =>
      server.store.putInstance(
        { namespace: 'public', group: 'DEFAULT_GROUP', name },
        wireInstance({ ip: address, port, weight }),
      ),
    kill: () => server.stop(),
    restart: () => server.start(),
    stop: () => server.stop(),
  }
}
