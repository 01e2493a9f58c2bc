/** The clock of control; parts get it handed in. */
export { systemClock, type Clock } from '../../contracts/clock.ts'
