/**
 * A block of loopback addresses `127.x.y.*` that no other demo or test of this machine uses, held by a listening socket
 * on its `.254`.
 */
import { type Server, createServer } from 'node:net'
import { MeshError } from '../../contracts/errors.ts'

export interface LoopbackBlock {
  /** `127.77.12.1` for 1; 1..253. */
  address(last: number): string
  release(): Promise<void>
}

/** Only a mark on the block; nobody is answered there. */
const markPort = 15_999
const attempts = 200

/** @param random 0..1. E_LISTEN_DENIED when no block is free. */
export async function claimLoopbackBlock(random: () => number): Promise<LoopbackBlock> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const prefix = `127.${10 + Math.floor(random() * 200)}.${1 + Math.floor(random() * 250)}`
    const server = createServer((socket) => socket.destroy())
    if (await canListen(server, `${prefix}.254`)) {
      return {
        address: (last) => `${prefix}.${last}`,
        release: () => new Promise((resolve) => server.close(() => resolve())),
      }
    }
  }
  throw new MeshError('E_LISTEN_DENIED', `no free block of loopback addresses after ${attempts} attempts`)
}

function canListen(server: Server, address: string): Promise<boolean> {
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen({ host: address, port: markPort, exclusive: true }, () => resolve(true))
  })
}
