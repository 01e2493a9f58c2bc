import { expect } from 'chai'
import { isListeningAt } from '../../../contracts/listening-at.ts'

describe('whether a listening socket is at an address', () => {
  const here = (): readonly string[] => ['10.0.0.5', 'fd00::5']

  for (const [listening, address, expected] of [
    ['10.0.0.5', '10.0.0.5', true],
    ['10.0.0.5', '::ffff:10.0.0.5', true],
    ['10.0.0.5', '::ffff:a00:5', true],
    ['10.0.0.5', '10.0.0.6', false],
    ['10.0.0.6', '10.0.0.5', false],
    ['fd00::5', 'FD00:0:0:0:0:0:0:5', true],
    ['fd00::5', 'fd00::0.0.0.5', true],
    ['fd00::5', '::1', false],
    ['0.0.0.0', '127.9.9.9', true],
    ['0.0.0.0', '::ffff:7f00:1', true],
    ['::', '0:0::1', true],
    ['::', '::', true],
    ['::', '0.0.0.0', true],
    ['::', '::2', false],
    ['0.0.0.0', '::ffff:10.0.0.5', true],
    ['::', 'fd00:0::5', true],
    ['::', 'fd00::6', false],
    ['0.0.0.0', '192.0.2.1', false],
    ['::', 'no address', false],
  ] as const)
    it(`${address} for one on ${listening}: ${expected}`, () => {
      expect(isListeningAt(listening, address, here)).to.equal(expected)
    })
})
