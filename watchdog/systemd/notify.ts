/**
 * Talks to the service manager: readiness, liveness, status, and its descriptor store. Without `NOTIFY_SOCKET`
 * everything here does nothing. Source: sd_notify(3), and systemd's docs/FILE_DESCRIPTOR_STORE.md for FDSTORE, FDNAME
 * and FDPOLL.
 */
import { spawn } from 'node:child_process'
import type { Native } from '../../native/descriptors.ts'
import type { HeldSocket } from '../hold/held-sockets.ts'
import type { Log } from '../log.ts'
import { storeName } from './stored-sockets.ts'

export interface ServiceManager {
  readonly isThere: boolean
  /** How often it wants a sign of life, ms; 0 = never. */
  readonly watchdogMs: number
  ready(status: string): void
  status(text: string): void
  alive(): void
  stopping(): void
  store(held: HeldSocket): void
  forget(held: HeldSocket): void
}

export interface NotifyEnvironment {
  readonly NOTIFY_SOCKET?: string | undefined
  readonly WATCHDOG_USEC?: string | undefined
  readonly WATCHDOG_PID?: string | undefined
}

/** Half the time that the manager allows, as sd_watchdog_enabled(3) advises. */
export function watchdogPeriod(environment: NotifyEnvironment, pid: number): number {
  const microseconds = Number(environment.WATCHDOG_USEC)
  const isForUs = environment.WATCHDOG_PID === undefined || Number(environment.WATCHDOG_PID) === pid
  return isForUs && Number.isFinite(microseconds) && microseconds > 0 ? Math.max(1, Math.floor(microseconds / 2000)) : 0
}

export function serviceManager(environment: NotifyEnvironment, native: Native | undefined, log: Log): ServiceManager {
  const address = environment.NOTIFY_SOCKET
  const isThere = address !== undefined && address !== ''
  let isBroken = false

  const send = (text: string, descriptors: readonly number[] = []): void => {
    if (!isThere) return
    if (native === undefined) {
      if (descriptors.length === 0) sendByProgram(text, log)
      return
    }
    const outcome = native.sendTo(address, text, descriptors)
    if (outcome !== 'sent' && !isBroken) {
      const reason = typeof outcome === 'string' ? outcome : outcome.problem
      log('warn', `${address}: the service manager does not take our messages: ${reason}`)
    }
    isBroken = outcome !== 'sent'
  }

  return {
    isThere,
    watchdogMs: isThere ? watchdogPeriod(environment, process.pid) : 0,
    ready: (status) => send(`READY=1\nMAINPID=${process.pid}\nSTATUS=${oneLine(status)}\n`),
    status: (text) => send(`STATUS=${oneLine(text)}\n`),
    alive: () => send('WATCHDOG=1\n'),
    stopping: () => send('STOPPING=1\n'),
    store: (held) => {
      const name = storeName(held.shard)
      // FDPOLL=0: a listening socket never hangs up; the manager should not watch it.
      if (name !== undefined) send(`FDSTORE=1\nFDNAME=${name}\nFDPOLL=0\n`, [held.descriptor])
    },
    forget: (held) => {
      const name = storeName(held.shard)
      if (name !== undefined) send(`FDSTOREREMOVE=1\nFDNAME=${name}\n`)
    },
  }
}

/** The plain way without native calls: one program per message, so only for readiness and liveness. */
function sendByProgram(text: string, log: Log): void {
  const words = text.split('\n').filter((line) => line !== '' && !line.startsWith('MAINPID='))
  const child = spawn('systemd-notify', [`--pid=${process.pid}`, ...words], { stdio: 'ignore' })
  child.on('error', (error) => log('warn', `systemd-notify cannot be started: ${error.message}`))
}

function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, ' ').slice(0, 200)
}
