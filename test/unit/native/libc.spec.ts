/** A failed call answers its errno itself. */
import { expect } from 'chai'
import { loadLibc } from '../../../native/libc.ts'
import { socketAddressBytes, writeSocketAddress } from '../../../native/socket-address.ts'

const [EBADF, EAGAIN, ENOTCONN, EINVAL] = [9, 11, 107, 22]
const [unixFamily, internetFamily, stream, datagram] = [1, 2, 1, 2]
const dontWait = 0x40
const getStatusFlags = 3

describe('a call of the C library that fails', () => {
  const libc = loadLibc().libc!

  it('answers -errno, whichever it is', () => {
    const memory = Buffer.alloc(64)
    const length = Buffer.alloc(4)
    const ends = Buffer.alloc(8)
    expect(libc.socketpair(unixFamily, datagram, 0, ends)).to.equal(0)
    const [near, far] = [ends.readInt32LE(0), ends.readInt32LE(4)]
    const alone = libc.socket(internetFamily, stream, 0)
    try {
      expect(libc.fcntl(-1, getStatusFlags, 0)).to.equal(-EBADF)
      expect(libc.recvmsg(near, memory, dontWait)).to.equal(-EAGAIN)
      expect(libc.getpeername(alone, memory, length)).to.equal(-ENOTCONN)
      expect(libc.shutdown(alone, 1)).to.equal(-ENOTCONN)
      expect(libc.pipe2(ends, 1 << 30)).to.equal(-EINVAL)
      expect(libc.splice(near, far, 1, 0)).to.equal(-EINVAL)
    } finally {
      for (const socket of [near, far, alone]) libc.close(socket)
    }
  })

  it('answers it although the runtime has collected, compiled and called the system before the answer is looked at', () => {
    const name = Buffer.alloc(socketAddressBytes)
    const length = writeSocketAddress(name, '127.0.0.1', 1)
    const kept: unknown[] = []
    for (let i = 0; i < 2000; i++) {
      const failure = libc.connect(-1, name, length)
      kept.push(Array.from({ length: 100 }, () => i))
      // sets an errno of its own
      expect(libc.socket(-1, 0, 0)).to.be.lessThan(-EBADF)
      expect(failure).to.equal(-EBADF)
    }
  })
})
