/**
 * What is left where the calls are missing: nothing can be copied, sent or held. The watchdog still supervises and
 * replaces generations; connections then end with their process instead of moving, and sockets are bound anew beside
 * the old ones (SO_REUSEPORT).
 */
import type { Native } from './descriptors.ts'

export function withoutNative(problem: string): Native {
  return {
    duplicate() {
      throw Object.assign(new Error(`descriptors cannot be copied: ${problem}`), { code: 'ENOSYS' })
    },
    keepOnExec() {},
    isListening: () => false,
    isDatagram: () => false,
    close() {},
    peerCredentials: () => undefined,
    tryLock: () => true,
    localAddress: () => undefined,
    getOption: () => undefined,
    setOption: () => false,
    openPort: () => ({ send: () => 'gone', take: () => undefined, close() {} }),
    sendTo: () => ({ problem }),
  }
}
