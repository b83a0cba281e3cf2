//! Dates of logs.

/// Days since 1970 of a date of the Gregorian calendar.
pub(super) fn days_of(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the day that is sometimes there comes last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

/// The year of a day since 1970.
pub(super) fn year_of(days: i64) -> i64 {
    let guess = 1970 + days / 366;
    (guess..).find(|year| days_of(year + 1, 1, 1) > days).unwrap_or(guess)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_years() {
        for (date, days) in [((1970, 1, 1), 0), ((2000, 2, 29), 11_016), ((2026, 11, 26), 20_783)] {
            assert_eq!(days_of(date.0, date.1, date.2), days);
            assert_eq!(year_of(days), date.0);
        }
    }
}
