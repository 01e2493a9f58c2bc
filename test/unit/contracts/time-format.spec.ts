import { expect } from 'chai'
import { formatTime, unknownConversion } from '../../../contracts/time-format.ts'

const at = Date.UTC(2026, 0, 4, 5, 6, 7, 89)

describe('a time in the log', () => {
  for (const [format, text] of [
    ['%Y-%m-%dT%H:%M:%S.%3fZ', '2026-01-04T05:06:07.089Z'],
    ['%F %T %z %Z', '2026-01-04 05:06:07 +0000 UTC'],
    ['%s.%6f', '1767503167.089000'],
    ['%f', '089000000'],
    ['%a %e %b %y', 'Sun  4 Jan 26'],
    ['%%s 100%%', '%s 100%'],
  ] as const)
    it(`is written as strftime does: ${format}`, () => {
      expect(unknownConversion(format)).to.equal(undefined)
      expect(formatTime(format, at)).to.equal(text)
    })

  for (const [format, unknown] of [
    ['%Y %Q', '%Q'],
    ['%3d', '%3'],
    ['at %', '%'],
  ] as const)
    it(`has conversions that are not known, by name: ${format}`, () => {
      expect(unknownConversion(format)).to.equal(unknown)
    })
})
