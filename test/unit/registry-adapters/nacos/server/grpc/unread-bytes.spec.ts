import { expect } from 'chai'
import { UnreadBytes, type CountedSocket } from '../../../../../../registry-adapters/nacos/server/grpc/unread-bytes.ts'

class Socket implements CountedSocket {
  bytesRead = 0
  isDestroyed = false
  destroy(): void {
    this.isDestroyed = true
  }
}

const mebibyte = 1024 * 1024

describe('bytes of gRPC messages that are not whole yet', () => {
  function setUp(): { unread: UnreadBytes<Socket>; bounds: string[]; open: (caller: string) => Socket } {
    const bounds: string[] = []
    const unread = new UnreadBytes<Socket>({
      most: 10 * mebibyte,
      mostPerCaller: 4 * mebibyte,
      now: () => 0,
      onBound: (bound) => bounds.push(bound),
    })
    const open = (caller: string): Socket => {
      const socket = new Socket()
      unread.enter(socket, caller)
      return socket
    }
    return { unread, bounds, open }
  }

  it('are bounded for one caller: the connection that holds the most ends', () => {
    const { unread, bounds, open } = setUp()
    const [small, large, other] = [open('a'), open('a'), open('b')]
    small.bytesRead = 2 * mebibyte
    large.bytesRead = 3 * mebibyte
    other.bytesRead = 3 * mebibyte
    unread.look()
    expect([small, large, other].map((one) => one.isDestroyed)).to.deep.equal([false, true, false])
    expect(bounds).to.deep.equal(['mostPerCaller'])
  })

  it('are bounded for all', () => {
    const { unread, bounds, open } = setUp()
    const sockets = ['a', 'b', 'c', 'd'].map(open)
    for (const [index, socket] of sockets.entries()) socket.bytesRead = 3 * mebibyte + index
    unread.look()
    expect(sockets.map((one) => one.isDestroyed)).to.deep.equal([false, false, false, true])
    expect(bounds).to.deep.equal(['most'])
  })

  it('are none once they are delivered, however many there were, and compression earns no credit', () => {
    const { unread, open } = setUp()
    const busy = open('a')
    for (let i = 0; i < 100; i++) {
      busy.bytesRead += mebibyte
      unread.delivered(busy, mebibyte)
    }
    unread.look()
    expect(busy.isDestroyed).to.equal(false)
    const packed = open('b')
    packed.bytesRead = 2000
    unread.delivered(packed, 100 * mebibyte)
    packed.bytesRead += 5 * mebibyte
    unread.look()
    expect(packed.isDestroyed).to.equal(true)
  })
})
