import { once } from 'node:events'
import net from 'node:net'
import { readRunRecord } from '../../../watchdog/supervise/run-record.ts'
import { isRunning } from '../../../native/process-facts.ts'
import type { DemoHost } from '../mesh/mesh.ts'

/**
 * SIGKILL to everything of a host at once, as if its agent had never been. Resolves when its `port` refuses and this
 * process has heard that its connections ended. A process whose first thread is gone may still hold its sockets.
 */
export async function killHost(host: DemoHost, port: number): Promise<void> {
  const children = readRunRecord(host.runDir)?.generations.flatMap((generation) => generation.children) ?? []
  host.killWatchdog()
  for (const { pid, startedAtTicks } of children) if (isRunning(pid, startedAtTicks)) process.kill(pid, 'SIGKILL')
  await host.whenExited()
  while (await isTaken(host.options.address, port)) await new Promise((resolve) => setTimeout(resolve, 5))
  // a turn of the loop, in which this process hears of its own connections
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Whether anybody listens there. */
export async function isTaken(host: string, port: number): Promise<boolean> {
  const socket = net.connect(port, host)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
