import { expect } from 'chai'
import { Http1Request } from '../../../agent/worker/protocols/http1/request-message.ts'
import { defaultLimits } from '../../../contracts/snapshot.ts'
import { Fault } from '../../../http1/fault.ts'
import { Head } from '../../../http1/head.ts'
import { readRequest } from '../../../http1/read-request.ts'
import { StringCache } from '../../../http1/string-cache.ts'

describe('a bound on fields that is raised by a reload', () => {
  const fields = Array.from({ length: 30 }, (_, index) => `x-${index}: ${index}\r\n`).join('')
  const bytes = Buffer.from(`GET / HTTP/1.1\r\nHost: orders\r\n${fields}\r\n`)
  const bound = (maxFields: number) => ({ ...defaultLimits, maxFields })

  it('holds from the next head on: one that was begun before keeps the former, and loses no field', () => {
    const head = new Head(new StringCache(), 10)
    expect(readRequest(head, bytes, 0, 40, bound(10))).to.equal(0)
    expect(readRequest(head, bytes, 0, bytes.length, bound(100))).to.equal(Fault.tooManyFields)
    head.reset()
    expect(readRequest(head, bytes, 0, bytes.length, bound(100))).to.equal(bytes.length)
    expect(head.header('x-29')).to.equal('29')
  })

  it('holds for copies of a request whose stream was made before', () => {
    const request = new Http1Request(new StringCache(), 10)
    request.caller = { sourceAddress: '', localPort: 0, source: undefined } as unknown as Http1Request['caller']
    expect(readRequest(request.head, bytes, 0, bytes.length, bound(100))).to.equal(bytes.length)
    expect(request.copy().header('x-29')).to.equal('29')
  })
})
