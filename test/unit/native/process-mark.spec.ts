import { expect } from 'chai'
import { processMark } from '../../../native/process-mark.ts'

describe('the mark of a process', () => {
  it('tells it apart from an earlier one of its number, and from one of another boot', () => {
    expect(processMark(process.pid)).to.match(new RegExp(`^${process.pid} \\d+ [0-9a-f-]{36}$`))
    expect(processMark(process.pid)).to.equal(processMark(process.pid))
    const [, start] = processMark(process.pid)!.split(' ')
    expect(Number(processMark(process.ppid)!.split(' ')[1])).to.be.most(Number(start))
  })

  it('is none of a process that there is not', () => {
    expect(processMark(0)).to.equal(undefined)
  })
})
